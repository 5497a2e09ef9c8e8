"""torch's storages, and the tensors that are views of them: checked, but not read."""

from __future__ import annotations

import math
from typing import Any

from caten_sd.encodings.zip_archive import ZipArchive
from caten_sd.errors import FormatError
from caten_sd.formats.torch.types import PAIRS, ElementType
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source

DAMAGED = "it is damaged or made to deceive, so get it again"

MAX_AXES = 64  # the limit of torch and of numpy
# Bytes that an expanded tensor (stride 0) may become when it is copied, if its storage has fewer.
MAX_UNFOLDED = 64 << 20
# Of sizes unpacked to packed: torch packs nothing, other tools reach 10, and a zip bomb 1000.
MAX_RATIO = 100


class Storage(Opaque):
    """The elements that tensors are views of; ``source`` is exactly their bytes."""

    __slots__ = ("_views", "element", "order", "source")

    def __init__(self, source: Source, element: ElementType, order: str = "<") -> None:
        super().__init__("torch.storage")
        self.source, self.element, self.order = source, element, order
        self._views: dict[Any, Any] = {}

    def leaf(self) -> Any:
        """Return the whole storage as a tensor of one axis."""
        return self.view(0, (self.source.size // self.element.itemsize,), (1,))

    def view(
        self, offset: Any, shape: Any, strides: Any, element: ElementType | None = None
    ) -> Any:
        """Return the leaf at an offset, in elements; the same object for the same view.

        A tensor whose element type has no DType becomes an Opaque with that type's name and shape.
        """
        element = self.element if element is None else element
        if type(offset) is not int or offset < 0 or not (_sizes(shape) and _sizes(strides)):
            problem = "the shape, strides or offset of a tensor are not sizes"
            raise FormatError(self.source.name, problem, DAMAGED)
        view = (offset, shape, strides, element)
        leaf = self._views.get(view)
        if leaf is None:
            leaf = self._views[view] = self._new_view(*view)
        return leaf

    def _new_view(
        self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], element: ElementType
    ) -> Any:
        if len(shape) != len(strides) or len(shape) > MAX_AXES:
            raise self._refusal(shape, element, f"has {len(strides)} strides")
        count, last, dense = _measured(offset, shape, strides)
        self._check(count, last, shape, element)
        if element.dtype is None:
            return Opaque(element.name, (shape,))
        if element is PAIRS:
            if not shape or not dense:
                return Opaque(element.name, (shape,))
            shape = (*shape[:-1], 2 * shape[-1])
        return LazyTensor(
            self.source,
            offset * element.itemsize if count else 0,
            element.dtype,
            shape,
            None if dense else strides,
            self.order if element.itemsize > 1 else "<",
        )

    def _check(self, count: int, last: int, shape: tuple[int, ...], element: ElementType) -> None:
        """Raise FormatError if a view leaves the storage, or unfolds to far more than it holds."""
        held = self.source.size // element.itemsize
        if count == 0:
            if math.prod(filter(None, shape)) * element.itemsize >> 63:
                raise self._refusal(shape, element, "is too large for an address")
        elif last >= held:
            raise self._refusal(
                shape, element, f"reaches to element {last}, and its storage has {held}"
            )
        elif count > held and count * element.itemsize > max(MAX_UNFOLDED, self.source.size):
            raise self._refusal(
                shape,
                element,
                f"repeats the elements of a storage of only {self.source.size} bytes",
            )

    def _refusal(self, shape: tuple[int, ...], element: ElementType, why: str) -> FormatError:
        tensor = f"a tensor of {list(shape)} {element.name}"
        return FormatError(self.source.name, f"{tensor} {why}", DAMAGED)


def _sizes(values: Any) -> bool:
    if type(values) is not tuple:
        return False
    return all(type(n) is int and 0 <= n < 1 << 62 for n in values)


def _measured(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, int, bool]:
    """Return the number of elements, the index of the last one, and whether they are in C order.

    The stride of an axis of one element has no meaning, and neither has one of an empty tensor.
    """
    count, last, dense = 1, offset, True
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1:
            dense = dense and stride == count
            last += (n - 1) * stride
            count *= n
    return count, last, dense or count == 0


def negated(leaf: LazyTensor, *, conjugate: bool) -> LazyTensor:
    """Return the leaf with its values negated, or conjugated, when they are read.

    torch keeps each as a bit of the tensor, and stores that bit and the unchanged values.
    """
    backing = _SignBacking(leaf.source, leaf.dtype, leaf.order, conjugate)
    source = Source(leaf.source.name, backing, 0, leaf.source.size)
    return LazyTensor(source, leaf.offset, leaf.dtype, leaf.shape, leaf.strides, leaf.order)


class _SignBacking:
    """Elements of a source with the opposite sign: of all values, or of the imaginary parts."""

    def __init__(self, source: Source, dtype: DType, order: str, conjugate: bool) -> None:
        self._source, self._conjugate = source, conjugate
        signed = dtype.kind == "float" and dtype.itemsize == 1
        self._byte = 0x80 if signed else 0 if dtype.kind == "bool" else None
        width = dtype.itemsize // 2 if dtype.kind == "complex" else dtype.itemsize
        self._code = f"{order}{'i' if dtype.kind in ('int', 'uint') else 'f'}{width}"

    @property
    def mapped(self) -> bool:
        return False

    def view(self, start: int, count: int) -> memoryview:
        return memoryview(bytearray(self.read(start, count)))

    def read(self, start: int, count: int) -> bytes:
        import numpy as np

        data = bytearray(self._source.read(start, count))
        if self._byte is not None:  # numpy knows no floats of a byte, whose sign is the first bit
            values = np.frombuffer(data, "u1")
            return (values ^ self._byte).tobytes()
        values = np.frombuffer(data, self._code)
        flipped = values[1::2] if self._conjugate else values
        np.negative(flipped, out=flipped)
        return values.tobytes()

    def close(self) -> None:
        self._source.close()


def byte_order(archive: ZipArchive, root: str) -> str:
    """Return the byte order of an archive's storages, "<" or ">", which it may leave out."""
    if f"{root}/byteorder" not in archive:
        return "<"
    text = archive.read(f"{root}/byteorder", limit=64)
    order = {b"little": "<", b"big": ">"}.get(text)
    if order is None:
        raise FormatError(
            archive.source.name,
            f"its byteorder is {text!r}, and little or big is expected",
            DAMAGED,
        )
    return order
