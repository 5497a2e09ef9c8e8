"""Blocks of a big-endian file, whose 16-bit floats are swapped on reading."""

from __future__ import annotations

from typing import Any

from caten_sd.blocks.block_types import BlockType
from caten_sd.blocks.box_of_blocks import box_of_blocks
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array
from caten_sd.state.steps import Box


class SwappedBlocks(LazyLeaf):
    """A leaf of blocks with the bytes that a little-endian file would have.

    As in gguf-py's gguf_convert_endian, only the 16-bit floats of a block differ.
    """

    __slots__ = ("block_type", "dtype", "raw", "shape")

    def __init__(self, raw: LazyTensor, block_type: BlockType) -> None:
        self.raw, self.block_type = raw, block_type
        self.shape, self.dtype = raw.shape, raw.dtype

    def origins(self) -> tuple[Any, ...]:
        """Return the bytes as they are in the file."""
        return (self.raw,)

    def __getitem__(self, box: Box) -> Any:
        """Return a box of the bytes, for which only the blocks in it are read."""

        def make(rows: Box, first: int, end: int) -> SwappedBlocks:
            size = self.block_type.size
            raw = self.raw[(*rows, slice(first * size, end * size))]
            return SwappedBlocks(raw, self.block_type)

        return box_of_blocks(box, self.block_type.size, make)

    def __repr__(self) -> str:
        return f"SwappedBlocks({self.block_type.name}, {self.raw})"


@as_array.register(Numpy, SwappedBlocks)
def _numpy(kind: Numpy, leaf: SwappedBlocks, /) -> Any:
    swapped = as_array(kind, leaf.raw).copy()
    blocks = swapped.reshape(-1, leaf.block_type.size)
    for at in leaf.block_type.halves or ():
        blocks[:, [at, at + 1]] = blocks[:, [at + 1, at]]
    return swapped
