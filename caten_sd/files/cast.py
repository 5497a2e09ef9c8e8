"""A leaf in another dtype, cast when it is read; and which keys a conversion casts."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from caten_sd.blocks.block_types import block_type, packable
from caten_sd.blocks.quantized_leaf import QuantizedLeaf, divides_into_blocks, quantized
from caten_sd.errors import StateDictError
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES, DType, numpy_dtype
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.state_dict import StateDict, spec_or_none

SHORT = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}


class Cast(LazyLeaf):
    """A leaf's values in another dtype, rounded to nearest even where they need rounding."""

    __slots__ = ("dtype", "leaf", "shape")

    def __init__(self, leaf: Any, dtype: DType) -> None:
        self.leaf, self.dtype, self.shape = leaf, dtype, spec(leaf).shape


@as_array.register(Numpy, Cast)
def _by_numpy(kind: Numpy, leaf: Cast, /) -> Any:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # infinite and NaN are reported
        return as_array(kind, leaf.leaf).astype(numpy_dtype(leaf.dtype))


def cast(leaf: Any, dtype: DType) -> Any:
    """Return the leaf in another dtype, unread; what a block type does not fit stays as it is."""
    if dtype.kind != "block":
        return Cast(leaf, dtype)
    kind = block_type(dtype.name)
    return quantized(leaf, kind) if divides_into_blocks(leaf, kind) else leaf


def before_cast(leaf: Any) -> Any:
    """Return the leaf that was cast or quantised, or None if this is no such leaf."""
    raw = leaf.raw if isinstance(leaf, BlockTensor) else leaf
    return raw.leaf if isinstance(raw, (Cast, QuantizedLeaf)) else None


def dtype_named(name: str) -> DType:
    """Return the dtype of a name or of a short name, or that of a block type that can be written.

    >>> dtype_named("bf16").name
    'bfloat16'
    """
    blocks = {kind.name: kind.dtype for kind in packable()}
    found = DTYPES.get(SHORT.get(name, name)) or blocks.get(name)
    if found is None:
        known = ", ".join([*SHORT, *DTYPES, *blocks])
        raise StateDictError(f"{name!r} is no dtype; there are {known}")
    return found


def cast_floats(
    state_dict: StateDict, dtype: str | None, keep: Mapping[str, str] | None = None
) -> StateDict:
    """Return the state dict with its floats in ``dtype``; integers and bools stay as they are.

    In a block type only matrices of whole blocks go, as in llama.cpp; the others stay as they are.

    ``keep`` names exceptions by glob pattern, the first that matches: ``{"*norm*": "float32"}``;
    "keep" leaves a leaf as it is.
    """
    wanted = {pattern: _wanted(name) for pattern, name in (keep or {}).items()}
    default = _wanted(dtype or "keep")
    done: dict[int, Any] = {}  # one leaf of several names stays one
    entry = {}
    for key, leaf in state_dict.items():
        target = next((d for p, d in wanted.items() if fnmatchcase(key, p)), default)
        known = spec_or_none(leaf)
        if target and known and known.dtype.kind in ("float", "block") and known.dtype != target:
            leaf = done.setdefault(id(leaf), cast(leaf, target))
        entry[key] = leaf
    unused = [p for p in wanted if not any(fnmatchcase(key, p) for key in state_dict)]
    if unused:
        raise StateDictError(f"no key matches the pattern {unused[0]!r}; mend it or leave it out")
    return state_dict.with_entry(entry, paths=state_dict.paths, ties=state_dict.ties)


def _wanted(name: str) -> DType | None:
    return None if name == "keep" else dtype_named(name)
