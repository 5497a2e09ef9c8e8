"""Leaves whose bytes are within reach, so that reading them cannot fail half way through a load."""

from __future__ import annotations

from typing import Any

from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, dequantize
from caten_sd.state.tiles import TiledTensor


def readable(leaf: Any) -> Any:
    """Return the leaf with its bytes in memory or in a map; an error if they cannot be had."""
    if isinstance(leaf, LazyTensor):
        leaf.raw()  # fails if the file is closed or too short
        return leaf if leaf.source.mapped else as_array(Numpy(), leaf)
    if isinstance(leaf, TiledTensor) or (isinstance(leaf, LazyLeaf) and leaf.bytes_of_chunks):
        return as_array(Numpy(), leaf)
    if isinstance(leaf, BlockTensor):
        return _readable_blocks(leaf)
    if isinstance(leaf, Derived):
        leaves = [readable(each) for each in leaf.leaves]
        same = all(new is old for new, old in zip(leaves, leaf.leaves, strict=True))
        return leaf if same else Derived(leaf.step, leaves, leaf.shape, leaf.dtype)
    return leaf


def _readable_blocks(leaf: BlockTensor) -> BlockTensor:
    raw = readable(leaf.raw)
    return leaf if raw is leaf.raw else BlockTensor(leaf.block_type, raw, leaf.shape)


def why_unreadable(leaf: Any) -> str:
    """Return why nothing can give a leaf's values, or "", without reading any."""
    if isinstance(leaf, Derived):
        return next(filter(None, map(why_unreadable, leaf.leaves)), "")
    if isinstance(leaf, BlockTensor) and not dequantize.methods(type(leaf.block_type), object):
        return (
            f"{leaf.dtype} has no dequantize method; add one with "
            f"@dequantize.register({type(leaf.block_type).__name__}, object)"
        )
    return ""
