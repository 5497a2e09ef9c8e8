"""Compare leaves: whether a cast is exact, the largest error, equal values, equal bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event
from typing import Any

from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.c_order import contiguous
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.parts import cut_together
from caten_sd.state.pieces import pieces

# Bits of exponent and mantissa: a float holds another exactly if it has at least as many of both.
_FLOATS = {
    "float64": (11, 52),
    "float32": (8, 23),
    "float16": (5, 10),
    "bfloat16": (8, 7),
    "float8_e5m2": (5, 2),
    "float8_e4m3fn": (4, 3),
}
BLOCK = 1 << 16  # elements compared at a time
_PART = 3 << 17  # bytes; four such buffers stay in the processor's cache, and fewer reads are made
_FIRST = 1 << 12  # bytes, among which most values that differ do so
_SHARED = 1 << 23  # bytes that are worth a second thread


def is_exact(source: DType, target: DType) -> bool:
    """Return whether a cast from ``source`` to ``target`` keeps every value.

    >>> from caten_sd.state.dtype import DTYPES
    >>> is_exact(DTYPES["bfloat16"], DTYPES["float32"])
    True
    >>> is_exact(DTYPES["bfloat16"], DTYPES["float16"])
    False
    """
    if source == target:
        return True
    if source.kind == "bool":  # all floats but float8_e8m0fnu, which is for scales, have a zero
        return target.kind in ("int", "uint", "complex") or target.name in _FLOATS
    if source.name in _FLOATS and target.name in _FLOATS:
        pairs = zip(_FLOATS[source.name], _FLOATS[target.name], strict=True)
        return all(has <= room for has, room in pairs)
    if source.kind in ("int", "uint"):
        sign = source.kind == "int"
        if target.name in _FLOATS:
            return source.bits - sign <= _FLOATS[target.name][1] + 1
        if target.kind in ("int", "uint"):
            return target.bits - (target.kind == "int") >= source.bits - sign and (
                target.kind == "int" or not sign
            )
    return False


def largest_error(leaf: Any, place: Any) -> float:
    """Return the largest absolute difference after a cast; NaN for NaN counts as equal."""
    if spec(leaf).shape != spec(place).shape:  # one element, which may have an axis
        return _largest_error(leaf, place)
    return max((_largest_error(*both) for both in cut_together(leaf, place)), default=0.0)


def _largest_error(leaf: Any, place: Any) -> float:
    import numpy as np

    before, after = (with_bytes_copied(as_array, Numpy(), each) for each in (leaf, place))
    wide = wide_enough(before.dtype, after.dtype)
    worst = 0.0
    with np.errstate(all="ignore"):
        for one, other in flat_blocks(before, after):
            a, b = one.astype(wide, copy=False), other.astype(wide, copy=False)
            gaps = np.abs(a - b)
            largest = float(gaps.max())
            if math.isnan(largest):  # two NaNs, two equal infinities, or a real difference
                largest = _largest_unequal(a, b, gaps)
            worst = max(worst, largest)
    return worst


def flat_blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the same blocks of two arrays, flat and in C order."""
    first = arrays[0]
    if not all(array.flags.c_contiguous for array in arrays):
        rows = max(BLOCK * len(first) // max(first.size, 1), 1)
        for start in range(0, len(first), rows):
            yield from flat_blocks(*(contiguous(array[start : start + rows]) for array in arrays))
        return
    for start in range(0, first.size, BLOCK):
        yield tuple(array.reshape(-1)[start : start + BLOCK] for array in arrays)


def wide_enough(*dtypes: Any) -> Any:
    """Return a dtype in which values of all these dtypes can be subtracted exactly."""
    import numpy as np

    if any(dtype.kind == "c" for dtype in dtypes):
        return np.complex128
    if any(dtype.kind in "iu" and dtype.itemsize == 8 for dtype in dtypes):
        return np.longdouble
    int32 = any(dtype.kind in "iu" and dtype.itemsize == 4 for dtype in dtypes)
    return np.float64 if int32 or any(dtype == np.float64 for dtype in dtypes) else np.float32


def _largest_unequal(a: Any, b: Any, gaps: Any) -> float:
    """Return the largest gap between values that are not both NaN or equal infinities."""
    import numpy as np

    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
    left = gaps[differs]
    return math.inf if np.isnan(left).any() else float(left.max(initial=0.0))


def same_values(a: Any, b: Any) -> bool:
    """Return whether two leaves have equal values; NaN equals NaN."""
    left, right = spec(a), spec(b)
    if left.shape != right.shape:
        return False
    are_plain = not any(isinstance(leaf, BlockTensor) for leaf in (a, b))  # of scales of their own
    if are_plain and left.dtype == right.dtype and same_bytes(a, b):
        return True
    return all(_largest_error(*both) == 0 for both in cut_together(a, b))


def same_bytes(a: Any, b: Any) -> bool:
    """Return whether two leaves have equal bytes, compared a piece at a time.

    Bytes of files are read and never mapped, so a file that is cut off meanwhile is an error.
    """
    a, b = (leaf.raw if isinstance(leaf, BlockTensor) else leaf for leaf in (a, b))
    if all(isinstance(leaf, LazyTensor) and leaf.is_canonical for leaf in (a, b)):
        return _same_stored(a, b)
    return _same_pieces(a, b)


def _same_stored(a: LazyTensor, b: LazyTensor) -> bool:
    """Compare the bytes of two leaves in files, by two threads where both are large."""
    size = a.extent
    if size != b.extent or not _same_range(a, b, 0, min(size, _FIRST), Event()):
        return False
    if size < _SHARED or not (a.source.is_random_access and b.source.is_random_access):
        return _same_range(a, b, 0, size, Event())
    from concurrent.futures import ThreadPoolExecutor  # which small leaves do without

    found = Event()
    with ThreadPoolExecutor(1) as other:
        second = other.submit(_same_range, a, b, size // 2, size, found)
        try:
            first = _same_range(a, b, 0, size // 2, found)
        except BaseException:
            found.set()
            raise
        return second.result() and first


def _same_range(a: LazyTensor, b: LazyTensor, start: int, end: int, found: Event) -> bool:
    """Compare a range of bytes in two reused buffers; stop once a difference is found."""
    size = min(end - start, _PART)
    buffers = bytearray(size), bytearray(size)  # which compare as fast as the memory allows
    for at in range(start, end, size or 1):
        if found.is_set():
            break
        if at + size > end:
            buffers = bytearray(end - at), bytearray(end - at)
        for leaf, buffer in zip((a, b), buffers, strict=True):
            leaf.source.read_into(leaf.offset + at, memoryview(buffer))
        if buffers[0] != buffers[1]:
            found.set()
            return False
    return True


def _same_pieces(a: Any, b: Any) -> bool:
    """Compare leaves of which one at least is not in a file, or not as files hold it."""
    import numpy as np

    left, right = pieces(a), pieces(b)
    rest_a = rest_b = memoryview(b"")
    while True:
        rest_a = rest_a or next(left, rest_a)
        rest_b = rest_b or next(right, rest_b)
        both = min(len(rest_a), len(rest_b))
        if not both:
            return len(rest_a) == len(rest_b)
        # comparing memoryviews takes twenty times as long
        here, there = (np.frombuffer(rest[:both], np.uint8) for rest in (rest_a, rest_b))
        if not np.array_equal(here, there):
            return False
        rest_a, rest_b = rest_a[both:], rest_b[both:]
