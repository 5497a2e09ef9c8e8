"""Basic indexing of what has a shape and strides, without touching its elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_size(value: Any) -> bool:
    """Return whether a value that a file gives can be a size or an offset: an int of 63 bits.

    >>> is_size(3), is_size(-1), is_size(True), is_size(1 << 63)
    (True, False, False, False)
    """
    return type(value) is int and 0 <= value < 1 << 63


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
    """Return the first element's offset and the shape and strides left by basic indexing."""
    offset, new_shape, new_strides = 0, [], []
    steps = c_strides(shape) if strides is None else strides
    for n, step, pick in zip(shape, steps, picks(len(shape), index), strict=True):
        if isinstance(pick, slice):
            start, stop, stride = pick.indices(n)
            if stride < 1:
                raise IndexError("a leaf of a file is sliced forwards only")
            new_shape.append(len(range(start, stop, stride)))
            new_strides.append(step * stride)
            offset += start * step
        elif not -n <= pick < n:
            raise IndexError(f"index {pick} is out of range for an axis of size {n}")
        else:
            offset += (pick % n) * step
    # Where nothing is left, the first element may lie behind the last one that there is.
    return 0 if 0 in new_shape else offset, new_shape, new_strides


def picks(axes: int, index: Any) -> list[Any]:
    """Return one integer or slice per axis."""
    picks = list(index) if isinstance(index, tuple) else [index]
    gaps = [at for at, pick in enumerate(picks) if pick is Ellipsis]
    at = gaps[0] if gaps else len(picks)
    missing = axes - len(picks) + len(gaps)
    if len(gaps) > 1 or missing < 0:
        raise IndexError(f"{index} is no index of a leaf of {axes} axes")
    picks[at : at + 1] = [slice(None)] * missing
    for pick in picks:
        if not isinstance(pick, slice) and (
            isinstance(pick, bool) or not hasattr(pick, "__index__")
        ):
            raise IndexError(f"a leaf of a file is indexed by integers and slices, not by {pick!r}")
    return picks
