"""Windows over the last axes of a tensor, as convolutions and pools see them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def unfold(
    x: Tensor,
    kernel_size: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Return the windows of the last axes as views: (..., *windows, *kernel).

    >>> import torch
    >>> unfold(torch.arange(4), [2]).tolist()
    [[0, 1], [1, 2], [2, 3]]
    """
    first = x.ndim - len(kernel_size)
    for axis, size in enumerate(kernel_size):
        step, gap = _at(stride, axis), _at(dilation, axis)
        x = x.unfold(first + axis, gap * (size - 1) + 1, step)[..., ::gap]
    return x


def _at(sizes: int | Sequence[int], axis: int) -> int:
    return sizes if isinstance(sizes, int) else sizes[axis]
