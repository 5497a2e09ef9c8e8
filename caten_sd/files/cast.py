"""Cast leaves to another dtype when they are read, and choose which keys to cast."""

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
from caten_sd.state.packed_weights import packed_keys
from caten_sd.state.state_dict import StateDict, spec_or_none

SHORT = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}


class Cast(LazyLeaf):
    """A leaf's values in another dtype, rounded to nearest even."""

    __slots__ = ("dtype", "leaf", "shape")

    def __init__(self, leaf: Any, dtype: DType) -> None:
        self.leaf, self.dtype, self.shape = leaf, dtype, spec(leaf).shape


@as_array.register(Numpy, Cast)
def _by_numpy(kind: Numpy, leaf: Cast, /) -> Any:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # infinite and NaN errors are reported later
        return as_array(kind, leaf.leaf).astype(numpy_dtype(leaf.dtype))


def cast(leaf: Any, dtype: DType) -> Any:
    """Return the leaf in another dtype, unread; unchanged if a block type cannot hold it."""
    if dtype.kind != "block":
        return Cast(leaf, dtype)
    kind = block_type(dtype.name)
    return quantized(leaf, kind) if divides_into_blocks(leaf, kind) else leaf


def before_cast(leaf: Any) -> Any:
    """Return the leaf that was cast or quantized; None for a leaf that was not."""
    raw = leaf.raw if isinstance(leaf, BlockTensor) else leaf
    return raw.leaf if isinstance(raw, (Cast, QuantizedLeaf)) else None


def dtype_named(name: str) -> DType:
    """Return the dtype with a name or short name, block types that can be written included.

    >>> dtype_named("bf16").name
    'bfloat16'
    """
    blocks = {kind.name: kind.dtype for kind in packable()}
    found = DTYPES.get(SHORT.get(name, name)) or blocks.get(name)
    if found is None:
        known = ", ".join([*SHORT, *DTYPES, *blocks])
        raise StateDictError(f"{name!r} is not a dtype; use one of {known}")
    return found


def cast_floats(
    state_dict: StateDict, dtype: str | None, keep: Mapping[str, str] | None = None
) -> StateDict:
    """Return the state dict with its floats in ``dtype``; integers and bools stay as they are.

    So do packed weights with their scales. A block type takes only matrices whose rows are whole
    blocks, as in llama.cpp; other leaves stay as they are.

    ``keep`` maps glob patterns to dtypes for exceptions, as in ``{"*norm*": "float32"}``; the first
    that matches counts, and "keep" leaves a leaf as it is.
    """
    dtypes = {pattern: _dtype_or_keep(name) for pattern, name in (keep or {}).items()}
    default = _dtype_or_keep(dtype or "keep")
    packed = packed_keys(state_dict) if default or any(dtypes.values()) else {}
    casts: dict[int, Any] = {}  # tied keys still share one leaf
    entry = {}
    for key, leaf in state_dict.items():
        target = next((d for p, d in dtypes.items() if fnmatchcase(key, p)), default)
        known = None if key in packed else spec_or_none(leaf)
        if target and known and known.dtype.kind in ("float", "block") and known.dtype != target:
            leaf = casts.setdefault(id(leaf), cast(leaf, target))
        entry[key] = leaf
    unused = [p for p in dtypes if not any(fnmatchcase(key, p) for key in state_dict)]
    if unused:
        raise StateDictError(f"no key matches the pattern {unused[0]!r}; correct or remove it")
    return state_dict.with_entry(entry, paths=state_dict.paths, ties=state_dict.ties)


def _dtype_or_keep(name: str) -> DType | None:
    return None if name == "keep" else dtype_named(name)
