"""A leaf in quantised blocks that are made when they are read."""

from __future__ import annotations

from typing import Any

from caten_sd.blocks.block_types import BlockType, quantize
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec


class Quantized(LazyLeaf):
    """The bytes of a leaf's values quantised; what ``quantized`` gives a BlockTensor as ``raw``."""

    __slots__ = ("block_type", "dtype", "leaf", "shape")

    def __init__(self, leaf: Any, block_type: BlockType) -> None:
        self.leaf, self.block_type, self.dtype = leaf, block_type, DTYPES["uint8"]
        *rows, count = spec(leaf).shape
        self.shape = (*rows, block_type.dtype.nbytes(count))

    def __repr__(self) -> str:
        return f"Quantized({self.block_type.name}, {self.leaf!r})"


@as_array.register(Numpy, Quantized)
def _numpy(kind: Numpy, leaf: Quantized, /) -> Any:
    return quantize(leaf.block_type, as_array(kind, leaf.leaf))


def fits(leaf: Any, block_type: BlockType) -> bool:
    """Say whether a leaf is a matrix, or a stack of them, whose rows are whole blocks.

    Vectors stay dense, as llama.cpp keeps them: its kernels take norms and biases in no other way.
    """
    shape = spec(leaf).shape
    return len(shape) > 1 and shape[-1] % block_type.elements == 0


def quantized(leaf: Any, block_type: BlockType) -> BlockTensor:
    """Return the leaf in blocks of this type; CatenError when it is read if its rows do not fit."""
    return BlockTensor(block_type, Quantized(leaf, block_type), spec(leaf).shape)
