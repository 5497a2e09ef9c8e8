"""Caten's own models by name: the arguments in Lisp, and the class of ``caten_sd.nn``.

A file that defines a model of the same name has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import attrs

from caten_sd import nn
from caten_sd.errors import ModelError
from caten_sd.lisp.definitions.lambda_lists import LambdaList, lambda_list
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.functions.lisp_values import first_value, text_of
from caten_sd.lisp.syntax.datum import Symbol
from caten_sd.lisp.syntax.reader import read_data


@attrs.frozen
class Constructor:
    """How a model of Caten's is built: its arguments, and the class that takes them here."""

    name: str
    arguments: LambdaList
    model: Any
    dropped: frozenset[str] = frozenset()  # arguments that the class does not have
    # What the class also takes for the sizes of several axes, to do as Caten does.
    several: Mapping[str, Any] = attrs.field(factory=dict)

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the model for the values of all arguments by name."""
        positional: list[Any] = []
        options: dict[str, Any] = {}
        for each in self.arguments.arguments:
            name, value = each.symbol.name, python_value(values[each.symbol.name])
            if name in self.dropped:
                continue
            if each.kind == "required":
                positional.append(value)
            else:
                options[python_name(each.symbol)] = value
        if positional and isinstance(positional[0], tuple) and len(positional[0]) > 1:
            options |= self.several
        return self.model(*positional, **options)


def python_value(value: Any) -> Any:
    """Return a value as a model of ``caten_sd.nn`` takes it.

    >>> python_value([2, 3]), python_value(Symbol("TANH", ":tanh"))
    ((2, 3), 'tanh')
    """
    if isinstance(value, Symbol):
        return value.name.lower()
    if isinstance(value, list):
        return tuple(map(python_value, value))
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Fraction):
        raise ModelError(
            f"{value} is a ratio and not a size; round it by floor, ceiling or truncate"
        )
    if callable(value) and not isinstance(value, nn.Module):
        return FirstValue(value)
    return value


@attrs.frozen(repr=False)
class FirstValue:
    """A function of Lisp as one of Python: it returns the first of several values."""

    function: Any

    def __repr__(self) -> str:
        return "a function"

    def __call__(self, *values: Any) -> Any:
        """Call the function."""
        return first_value(self.function(*values))


def _batch_norm(dims: Any, **options: Any) -> nn.BatchNorm:
    sizes = dims if isinstance(dims, tuple) else (dims,)
    if len(sizes) != 1:
        raise ModelError(
            f"BatchNorm of {text_of(list(sizes))} has statistics for each row, which is not done "
            f"here; pass one size, that of the channels"
        )
    return nn.BatchNorm(sizes[0], **options)


_LAST = {"last_axis_only": True}
_TABLE: tuple[tuple[str, str, Any], ...] = (
    ("Linear", "in-features out-features &key (bias t)", nn.Linear),
    ("Embedding", "vocab-size embedding-dim", nn.Embedding),
    ("BatchNorm", "dims &key (eps 1e-5) (affine t) (bias t)", _batch_norm),
    (
        "ConvND",
        "in-channels out-channels kernel-size"
        " &key (groups 1) (stride 1) (dilation 1) (padding 0) (bias t)",
        nn.ConvND,
    ),
    ("FeedForward", "dim hidden-dim", nn.FeedForward),
    (
        "TransformerBlock",
        "dim n-heads &key (norm-eps 1e-5) (max-seq-len 1024)",
        nn.TransformerBlock,
    ),
    (
        "Transformer",
        "dim n-heads n-layers norm-eps vocab-size &key (max-seq-len 1024)",
        nn.Transformer,
    ),
    (
        "AvgPool",
        "kernel-size &key (stride nil) (dilation 1) (padding 0) (ceiling #'ceiling)",
        nn.AvgPool,
    ),
    (
        "MaxPool",
        "kernel-size &key (stride nil) (dilation 1) (padding 0) (ceiling #'ceiling)",
        nn.MaxPool,
    ),
    ("RoPE", "dim &key (base 10000)", nn.RoPE),
    ("ReLU", "", nn.ReLU),
    ("LeakyReLU", "&key (neg-slope 1e-3)", nn.LeakyReLU),
    ("ReLU6", "", nn.ReLU6),
    ("ELU", "&key (alpha 1.0)", nn.ELU),
    ("CeLU", "&key (alpha 1.0)", nn.CELU),
    ("SeLU", "", nn.SELU),
    ("Softplus", "&key (beta 1.0)", nn.Softplus),
    ("SoftShrink", "&key (lmd 0.5)", nn.SoftShrink),
    ("Sigmoid", "", nn.Sigmoid),
    ("HardSigmoid", "&key (alpha 0.2) (beta 0.5)", nn.HardSigmoid),
    ("LogSigmoid", "", nn.LogSigmoid),
    ("HardTanh", "&key (min_val -1.0) (max_val 1.0)", nn.HardTanh),
    ("Softsign", "", nn.Softsign),
    ("GeLU", "&key (approx :tanh)", nn.GELU),
    ("SiLU", "", nn.SiLU),
    ("Mish", "", nn.Mish),
    ("HardSwish", "", nn.HardSwish),
    ("Softmax", "&key (axis -1)", nn.Softmax),
    ("LogSoftmax", "&key (axis -1)", nn.LogSoftmax),
    ("Softmin", "", nn.Softmin),
)


def _constructor(name: str, arguments: str, model: Any, **options: Any) -> Constructor:
    (datum,) = read_data(f"({arguments})", f"Caten's {name}")
    return Constructor(name, lambda_list(datum), model, **options)


_ALL = (
    *(_constructor(*row) for row in _TABLE),
    _constructor(
        "LayerNorm",
        "dims &key (eps 1e-5) (affine t) (bias t)",
        nn.LayerNorm,
        several=_LAST,
    ),
    _constructor("RMSNorm", "dims &key (eps 1e-5) (weight t)", nn.RMSNorm, several=_LAST),
    _constructor(
        "Attention",
        "dim n-heads max-seq-len &key (use-kv-cache t)",
        nn.Attention,
        dropped=frozenset({"USE-KV-CACHE"}),
    ),
)
CONSTRUCTORS: Mapping[str, Constructor] = {each.name.upper(): each for each in _ALL}
