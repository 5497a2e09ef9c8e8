"""Cast leaves to another dtype when they are read, and choose which keys to cast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from caten_sd.blocks.block_types import block_type, packable
from caten_sd.blocks.quantized_leaf import QuantizedLeaf, divides_into_blocks, quantized
from caten_sd.errors import StateDictError
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import indexed
from caten_sd.state.dtype import DTYPE_NAMES, DType, dtype_called, is_raw_pair, numpy_dtype
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec, spec_or_none
from caten_sd.state.packed_weights import packed_keys
from caten_sd.state.state_dict import StateDict


class Cast(LazyLeaf):
    """A leaf's values in another dtype, rounded to nearest even."""

    __slots__ = ("dtype", "leaf", "shape")

    def __init__(self, leaf: Any, dtype: DType) -> None:
        self.leaf, self.dtype, self.shape = leaf, dtype, spec(leaf).shape

    def origins(self) -> tuple[Any, ...]:
        """Return the leaf that is cast."""
        return (self.leaf,)

    def __getitem__(self, index: Any) -> Cast:
        """Return a lazy slice, by integers and slices of positive step."""
        return Cast(indexed(self.leaf, index), self.dtype)


@as_array.register(Numpy, Cast)
def _by_numpy(kind: Numpy, leaf: Cast, /) -> Any:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # infinite and NaN errors are reported later
        return as_array(kind, leaf.leaf).astype(numpy_dtype(leaf.dtype))


def cast(leaf: Any, dtype: DType) -> Any:
    """Return the leaf in another dtype, unread; unchanged if a block type cannot hold it.

    Raw elements of two bytes, of which a file does not say what they are, are taken for bfloat16.
    """
    if isinstance(leaf, LazyTensor) and is_raw_pair(leaf.dtype):
        return leaf.taken_as(dtype)
    if dtype.kind != "block":
        return Cast(leaf, dtype)
    kind = block_type(dtype.name)
    return quantized(leaf, kind) if divides_into_blocks(leaf, kind) else leaf


def before_cast(leaf: Any) -> Any:
    """Return the leaf that was cast or quantized; None for a leaf that was not."""
    raw = leaf.raw if isinstance(leaf, BlockTensor) else leaf
    return raw.leaf if isinstance(raw, (Cast, QuantizedLeaf)) else None


def dtype_named(name: Any) -> DType:
    """Return the dtype of any package, or of a name; block types that can be written have one too.

    >>> dtype_named("bf16").name
    'bfloat16'
    """
    blocks = {kind.name: kind.dtype for kind in packable()}
    found = dtype_called(name) or (blocks.get(name) if isinstance(name, str) else None)
    if found is None:
        known = ", ".join([*DTYPE_NAMES, *blocks])
        raise StateDictError(f"{name!r} is not a dtype; use one of {known}")
    return found


def cast_floats(state_dict: StateDict, dtype: Any) -> StateDict:
    """Return the state dict with its floats in ``dtype``; integers and bools stay as they are.

    So do packed weights with their scales. A block type takes only matrices whose rows are whole
    blocks, as in llama.cpp; other leaves stay as they are.

    ``dtype`` may be a mapping of glob patterns to dtypes, as in ``{"*norm*": "f32", "*": "bf16"}``;
    the first that matches applies, and "keep" leaves a leaf as it is.
    """
    given = dtype if isinstance(dtype, Mapping) else {} if dtype is None else {"*": dtype}
    dtypes = {pattern: _dtype_or_keep(each) for pattern, each in given.items()}
    packed = packed_keys(state_dict) if any(dtypes.values()) else {}
    casts: dict[int, Any] = {}  # tied keys still share one leaf
    entry, used = {}, {"*"}
    for key, leaf in state_dict.items():
        pattern = next((each for each in dtypes if fnmatchcase(key, each)), "*")
        used.add(pattern)
        target = dtypes.get(pattern)
        known = None if key in packed else spec_or_none(leaf)
        if target and known and known.dtype != target and _takes(known.dtype, target):
            leaf = casts.setdefault(id(leaf), cast(leaf, target))
        entry[key] = leaf
    for pattern in dtypes:
        if pattern not in used:
            raise StateDictError(_unused(pattern, state_dict))
    return state_dict.with_entry(entry, paths=state_dict.paths, ties=state_dict.ties)


def _takes(own: DType, target: DType) -> bool:
    """Return whether a leaf is cast: a float, or what may be bfloat16 and is asked for as that."""
    return own.kind in ("float", "block") or (is_raw_pair(own) and target.name == "bfloat16")


def _unused(pattern: str, keys: Iterable[str]) -> str:
    """Return what to do about a pattern of dtypes that applies to no key."""
    if any(fnmatchcase(key, pattern) for key in keys):
        return (
            f"earlier patterns take every key that {pattern!r} of dtype= or --dtype matches; put "
            f"it before them"
        )
    return f"no key matches the pattern {pattern!r}; correct or remove it"


def _dtype_or_keep(name: Any) -> DType | None:
    return None if isinstance(name, str) and name == "keep" else dtype_named(name)
