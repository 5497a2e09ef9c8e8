"""Basic indexing of a shape and strides, without reading any element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caten_sd.wording import counted

MAX_RANK = 64  # axes; numpy's own limit

_SIZE_LIMIT = 1 << 63


def is_size(value: Any) -> bool:
    """Return whether a value from a file can be a size or an offset: an int of at most 63 bits.

    >>> is_size(3), is_size(-1), is_size(True), is_size(1 << 63)
    (True, False, False, False)
    """
    return type(value) is int and 0 <= value < _SIZE_LIMIT


def is_shape(sizes: Any) -> bool:
    """Return whether a value from a file can be a shape: a sequence of at most 64 sizes.

    Without a limit on the rank, a product of sizes would be a number of millions of bits.

    >>> is_shape([2, 3]), is_shape([2, -3]), is_shape([1] * 65)
    (True, False, False)
    """
    is_short = isinstance(sizes, (list, tuple)) and len(sizes) <= MAX_RANK
    for n in sizes if is_short else ():  # is_size for each would take twice as long
        if type(n) is not int or not 0 <= n < _SIZE_LIMIT:
            return False
    return is_short


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides, in elements, of a C-contiguous array.

    >>> c_strides((2, 3, 4))
    (12, 4, 1)
    """
    steps = [1]
    for n in reversed(shape[1:]):
        steps.append(steps[-1] * n)
    return tuple(reversed(steps)) if shape else ()


def narrow(
    shape: tuple[int, ...], strides: tuple[int, ...] | None, index: Any
) -> tuple[int, list[int], list[int]]:
    """Return the offset, the shape and the strides of the result of basic indexing."""
    offset, new_shape, new_strides = 0, [], []
    steps = c_strides(shape) if strides is None else strides
    for n, step, pick in zip(shape, steps, picks(len(shape), index), strict=True):
        if isinstance(pick, slice):
            start, stop, stride = pick.indices(n)
            new_shape.append(len(range(start, stop, stride)))
            new_strides.append(step * stride)
            offset += start * step
        elif not -n <= pick < n:
            raise IndexError(f"index {pick} is out of range for an axis of size {n}")
        else:
            offset += (pick % n) * step
    # The offset of an empty result may be past the end of the data.
    return 0 if 0 in new_shape else offset, new_shape, new_strides


def picks(axes: int, index: Any) -> list[Any]:
    """Return one integer or forward slice for each axis."""
    picks = list(index) if isinstance(index, tuple) else [index]
    gaps = [at for at, pick in enumerate(picks) if pick is Ellipsis]
    at = gaps[0] if gaps else len(picks)
    missing = axes - len(picks) + len(gaps)
    if len(gaps) > 1 or missing < 0:
        raise IndexError(f"{index} is not an index of a leaf with {counted(axes, 'axis', 'axes')}")
    picks[at : at + 1] = [slice(None)] * missing
    for pick in picks:
        if isinstance(pick, slice):
            if pick.step is not None and pick.step < 0:
                raise IndexError("a lazy leaf is sliced forward only; slice its numpy() instead")
        elif isinstance(pick, bool) or not hasattr(pick, "__index__"):
            raise IndexError(f"a lazy leaf is indexed by integers and slices, not by {pick!r}")
    return picks
