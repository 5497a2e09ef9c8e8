"""The kinds of layer that frameworks have in common: the parts of each, and how one lies.

The parts have the names, shapes and orders of axes and gates that torch has; they are the
canonical names of the rows with which an adapter says how a layer of its world lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from caten_sd.mapping.rows import Row


@dataclass(frozen=True)
class Usual:
    """The elements of a part that does nothing, so that a layer without it is the same function.

    They are in the dtype of the part ``like``, or in another, and in its shape, or that of some of
    its ``axes``. Where ``counted``, the part is a count that no output depends on.
    """

    value: float
    like: str
    _: KW_ONLY
    axes: tuple[int, ...] | None = None
    dtype: str = ""
    counted: bool = False


Parts = Mapping[str, Usual | None]  # None for a part without which there is no such layer


def _zeros(like: str, *axes: int) -> Usual:
    return Usual(0.0, like, axes=axes)


_SCALED: Parts = {"weight": None, "bias": Usual(0.0, "weight")}
_GATED: Parts = {
    "weight_ih": None,
    "weight_hh": None,
    "bias_ih": _zeros("weight_ih", 0),
    "bias_hh": _zeros("weight_hh", 0),
}

KINDS: Mapping[str, Parts] = {
    "array": {"": None},
    "dense": {"weight": None, "bias": _zeros("weight", 0)},
    "convolution": {"weight": None, "bias": _zeros("weight", 0)},
    "transposed convolution": {"weight": None, "bias": _zeros("weight", 1)},
    "embedding": {"weight": None},
    "layer norm": _SCALED,
    "RMS norm": _SCALED,
    "group norm": _SCALED,
    "batch norm": {
        "weight": Usual(1.0, "running_mean"),
        "bias": Usual(0.0, "running_mean"),
        "running_mean": None,
        "running_var": None,
        "num_batches_tracked": Usual(0.0, "running_mean", axes=(), dtype="int64", counted=True),
    },
    "LSTM": _GATED,
    "GRU": _GATED,
    "attention": {
        **{f"{name}.weight": None for name in ("query", "key", "value", "out")},
        **{
            f"{name}.bias": _zeros(f"{name}.weight", 0) for name in ("query", "key", "value", "out")
        },
    },
}


@dataclass(frozen=True)
class StandardLayer:
    """What an object of a world is as a layer: its kind, and a row for each part that it may have.

    The canonical names of the rows are parts of the kind; the names here are the layer's own, from
    itself on. A row counts where the layer has its names. ``suffix`` distinguishes several layers
    of one object. ``epsilon`` is what a norm adds to the variance. ``heads``, ``key_heads`` (0 for
    as many) and ``groups`` are counts that shapes do not tell; 0 of ``heads`` or ``groups`` means
    that they are not known. Names that are ``apart`` may lie below another root than the layer, as
    statistics do that a state next to the model has. A layer that ``opens`` may be taken as the
    layers that it is made of, where the other world has those.
    """

    kind: str
    rows: tuple[Row, ...]
    _: KW_ONLY
    suffix: str = ""
    epsilon: float | None = None
    heads: int = 0
    key_heads: int = 0
    groups: int = 0
    apart: tuple[str, ...] = ()
    opens: bool = False

    @property
    def heads_of_keys(self) -> int:
        """How many heads the keys have, which may be as many as the queries; 0 if not known."""
        return self.key_heads or self.heads


def layers_by_class(
    table: Mapping[type, Callable[[Any], tuple[StandardLayer, ...] | StandardLayer]], module: Any
) -> tuple[StandardLayer, ...]:
    """Return what the table makes of a module by the first of its classes there, or nothing."""
    for cls in type(module).__mro__:
        if cls in table:
            made = table[cls](module)
            return made if isinstance(made, tuple) else (made,)
    return ()
