"""QuantizedLeaf: a leaf that is quantized when it is read."""

from __future__ import annotations

from typing import Any

from caten_sd.blocks.block_types import BlockType, quantize
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec


class QuantizedLeaf(LazyLeaf):
    """The bytes of a leaf's values, quantized: the ``raw`` of the BlockTensor of ``quantized``."""

    __slots__ = ("block_type", "dtype", "leaf", "shape")

    def __init__(self, leaf: Any, block_type: BlockType) -> None:
        self.leaf, self.block_type, self.dtype = leaf, block_type, DTYPES["uint8"]
        *rows, count = spec(leaf).shape
        self.shape = (*rows, block_type.dtype.nbytes(count))

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
