"""LazyTensor: a leaf whose bytes are in a file."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.errors.printable import one_line
from caten_sd.state.dtype import DType
from caten_sd.state.indexing import narrow
from caten_sd.state.leaf import LazyLeaf, Memory, memory
from caten_sd.state.source import Source

_LARGE = 1 << 25  # bytes


class LazyTensor(LazyLeaf):
    """A leaf whose bytes are in a file: known from its header, mapped on first use.

    Basic indexing stays lazy and narrows what will be read. ``strides`` are in elements, C order if
    None; ``order`` is the byte order, "<" or ">".
    """

    __slots__ = ("dtype", "offset", "order", "shape", "source", "strides")

    def __init__(
        self,
        source: Source,
        offset: int,
        dtype: DType,
        shape: Sequence[int],
        strides: Sequence[int] | None = None,
        order: str = "<",
    ) -> None:
        self.source, self.offset, self.dtype, self.order = source, offset, dtype, order
        self.shape = tuple(shape)
        self.strides = None if strides is None else tuple(strides)

    @property
    def extent(self) -> int:
        """The bytes from the first element to the end of the last one."""
        if self.strides is None or 0 in self.shape:
            return self.dtype.nbytes(math.prod(self.shape))
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return self.dtype.nbytes(last + 1)

    @property
    def has_gaps(self) -> bool:
        """Whether a large extent holds more bytes of other elements than of this leaf's."""
        return self.extent > _LARGE and self.extent > 2 * self.dtype.nbytes(math.prod(self.shape))

    def taken_as(self, dtype: DType) -> LazyTensor:
        """Return the leaf whose bytes are elements of another dtype, of the same size."""
        return LazyTensor(self.source, self.offset, dtype, self.shape, self.strides, self.order)

    @property
    def is_canonical(self) -> bool:
        """Whether the stored bytes are as files hold them: C order, little endian."""
        return self.strides is None and self.order == "<"

    def raw(self) -> memoryview:
        """Return the stored bytes, mapped if the system allows it."""
        return self.source.view(self.offset, self.extent)

    def read_into(self, buffer: memoryview) -> None:
        """Fill a buffer of ``extent`` bytes with the stored bytes, without a map."""
        self.source.read_into(self.offset, buffer)

    def __getitem__(self, index: Any) -> LazyTensor:
        """Return a lazy slice, by integers and slices of positive step."""
        if not self.dtype.itemsize:
            raise CatenError(
                f"{self.source}: a {self.dtype} leaf cannot be sliced, because its elements share "
                f"bytes; slice the result of numpy()"
            )
        offset, shape, strides = narrow(self.shape, self.strides, index)
        start = self.offset + offset * self.dtype.itemsize
        return LazyTensor(self.source, start, self.dtype, shape, strides, self.order)

    def __repr__(self) -> str:
        return one_line(
            f"LazyTensor({self.dtype}, {list(self.shape)}, {self.source} at {self.offset})"
        )


@memory.register(LazyTensor)
def _in_file(leaf: LazyTensor, /) -> Memory:
    """Return the place in the file, which no array in memory shares."""
    return Memory((), _place)


def _place(leaf: LazyTensor) -> Hashable:
    return id(leaf.source), leaf.offset, leaf.dtype, leaf.shape, leaf.strides, leaf.order
