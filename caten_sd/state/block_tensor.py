"""BlockTensor: a leaf of quantized blocks, kept packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caten_sd.state.dtype import DType
from caten_sd.state.leaf import LazyLeaf


class BlockTensor(LazyLeaf):
    """A leaf of packed blocks: ``raw`` is any uint8 leaf of shape (..., bytes of a row).

    ``shape`` counts elements. ``dequantize`` dispatches on ``block_type``, which also has the
    ``dtype``. A copy from file to file stays packed; ``numpy()`` unpacks.
    """

    __slots__ = ("block_type", "dtype", "raw", "shape")

    def __init__(self, block_type: Any, raw: Any, shape: Sequence[int]) -> None:
        self.block_type, self.raw, self.shape = block_type, raw, tuple(shape)
        self.dtype: DType = block_type.dtype

    def origins(self) -> tuple[Any, ...]:
        """Return the packed bytes."""
        return (self.raw,)

    @property
    def movable(self) -> bool:
        """Whether a block means the same in every place; a scale for each channel forbids it."""
        return getattr(self.block_type, "axis", None) is None
