"""QuantizedLeaf: a leaf that is quantized when it is read."""

from __future__ import annotations

from typing import Any

from caten_sd.blocks.block_types import BlockType, quantize
from caten_sd.blocks.box_of_blocks import box_of_blocks
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import sliced
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.steps import Box


class QuantizedLeaf(LazyLeaf):
    """The bytes of a leaf's values, quantized: the ``raw`` of the BlockTensor of ``quantized``."""

    __slots__ = ("block_type", "dtype", "leaf", "shape")

    def __init__(self, leaf: Any, block_type: BlockType) -> None:
        self.leaf, self.block_type, self.dtype = leaf, block_type, DTYPES["uint8"]
        *rows, count = spec(leaf).shape
        self.shape = (*rows, block_type.dtype.nbytes(count))

    def origins(self) -> tuple[Any, ...]:
        """Return the leaf that is quantized."""
        return (self.leaf,)

    def __getitem__(self, box: Box) -> Any:
        """Return a box of the bytes, for which only the values in it are read."""

        def make(rows: Box, first: int, end: int) -> QuantizedLeaf:
            per = self.block_type.elements
            values = sliced(self.leaf, (*rows, slice(first * per, end * per)))
            return QuantizedLeaf(values, self.block_type)

        return box_of_blocks(box, self.block_type.size, make)

    def __repr__(self) -> str:
        return f"QuantizedLeaf({self.block_type.name}, {self.leaf!r})"


@as_array.register(Numpy, QuantizedLeaf)
def _numpy(kind: Numpy, leaf: QuantizedLeaf, /) -> Any:
    return quantize(leaf.block_type, as_array(kind, leaf.leaf))


def divides_into_blocks(leaf: Any, block_type: BlockType) -> bool:
    """Return whether a leaf is a matrix, or several, whose rows divide into blocks.

    Vectors stay dense, because the kernels of llama.cpp take only dense norms and biases.
    """
    shape = spec(leaf).shape
    return len(shape) > 1 and shape[-1] % block_type.elements == 0


def quantized(leaf: Any, block_type: BlockType) -> BlockTensor:
    """Return the leaf in blocks of this type; reading it is a CatenError if rows do not divide."""
    return BlockTensor(block_type, QuantizedLeaf(leaf, block_type), spec(leaf).shape)
