"""BlockTensor: a leaf of quantized blocks, kept packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caten_sd.state.dtype import DType
from caten_sd.state.leaf import LazyLeaf


class BlockTensor(LazyLeaf):
    """A leaf of quantised blocks kept packed: ``raw`` is (..., row bytes) uint8, any leaf kind.

    ``shape`` is row-major and counts elements; ``block_type`` is what ``dequantize`` dispatches on
    and names its ``dtype``. It is copied packed from file to file, and unpacked by ``numpy()``.
    """

    __slots__ = ("block_type", "dtype", "raw", "shape")

    def __init__(self, block_type: Any, raw: Any, shape: Sequence[int]) -> None:
        self.block_type, self.raw, self.shape = block_type, raw, tuple(shape)
        self.dtype: DType = block_type.dtype
