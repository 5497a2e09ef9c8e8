"""Padding: elements before and after a tensor along its axes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from caten_sd.errors import ModelError

Pair = Sequence[int] | bool  # True leaves an axis as it is, as T does in Caten


def pad(x: Tensor, padding: Sequence[Pair], *, value: float = 0.0) -> Tensor:
    """Pad each axis by a pair (before, after), or not at all where it is True.

    >>> import torch
    >>> pad(torch.ones(2, 3), [True, (1, 2)]).shape
    torch.Size([2, 6])
    """
    pairs = [(0, 0) if isinstance(each, bool) else tuple(each) for each in padding]
    if len(pairs) != x.ndim or False in padding or any(len(pair) != 2 for pair in pairs):
        raise ModelError(
            f"padding {padding!r} must have one pair (before, after) or True for each axis of a "
            f"tensor of shape {tuple(x.shape)}"
        )
    if any(isinstance(size, bool) or size < 0 for pair in pairs for size in pair):
        raise ModelError(f"padding {padding!r} must not be negative; use a slice to cut a tensor")
    if not any(map(any, pairs)):
        return x  # torch would look at the value, which an integer dtype may not have
    # torch counts the axes from the last one.
    return functional.pad(x, [size for pair in reversed(pairs) for size in pair], value=value)


def pad_2d(x: Tensor, padding: Sequence[int], *, value: float = 0.0) -> Tensor:
    """Pad the last two axes by four sizes: before and after the last but one, then the last.

    Caten calls them left, right, top and bottom, and takes them in this order of axes.

    >>> import torch
    >>> pad_2d(torch.ones(1, 2, 3), (1, 1, 0, 2)).shape
    torch.Size([1, 4, 5])
    """
    if len(padding) != 4 or x.ndim < 2:
        raise ModelError(
            f"padding {padding!r} must have four sizes for the last two axes of a tensor, and this "
            f"one has the shape {tuple(x.shape)}"
        )
    before_0, after_0, before_1, after_1 = padding
    pairs: list[Pair] = [True] * (x.ndim - 2)
    return pad(x, [*pairs, (before_0, after_0), (before_1, after_1)], value=value)
