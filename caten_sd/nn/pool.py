"""Pooling: the largest element or the mean of each window."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from caten_sd.errors import ModelError
from caten_sd.nn.module import Module
from caten_sd.nn.padding import pad
from caten_sd.nn.sizes import Sizes, spread_sizes
from caten_sd.objects.call import call

Rounding = Callable[[float], int]


@attrs.define(init=False)
class Pool(Module):
    """Windows over the last 1 to 3 axes; one integer is the size of a square, as in Caten.

    The stride is the window's size where it is None. ``ceiling`` rounds the number of windows:
    `math.ceil`, Caten's default, takes every window that fits, as torch does; `math.floor` may
    leave out the last one. An unequal padding goes axis by axis, as in torch; Caten reverses it.
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    ceiling: Rounding

    def __init__(
        self,
        kernel_size: Sizes,
        *,
        stride: Sizes | None = None,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        ceiling: Rounding = math.ceil,
    ) -> None:
        name = type(self).__name__
        kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
        self.kernel_size = spread_sizes(name, "kernel_size", kernel, None)
        ndim = len(self.kernel_size)
        self.stride = spread_sizes(
            name, "stride", self.kernel_size if stride is None else stride, ndim
        )
        self.dilation = spread_sizes(name, "dilation", dilation, ndim)
        self.padding = spread_sizes(name, "padding", padding, ndim, least=0)
        self.ceiling = ceiling


@attrs.define(init=False)
class MaxPool(Pool):
    """The largest element of each window; what is padded is never the largest.

    >>> import torch
    >>> MaxPool(2)(torch.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """


@attrs.define(init=False)
class AvgPool(Pool):
    """The mean of each window; what is padded counts as 0.

    >>> import torch
    >>> AvgPool(2)(torch.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """


@call.register(MaxPool)
def max_pool(model: MaxPool, x: Tensor) -> Tensor:
    """Map (..., *sizes) to (..., *windows)."""
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[_ndim(model) - 1]

    def largest(each: Tensor) -> Tensor:
        pooled: Tensor = pool(each, model.kernel_size, stride=model.stride, dilation=model.dilation)
        return pooled

    return _over_windows(model, x, -math.inf, largest)


@call.register(AvgPool)
def avg_pool(model: AvgPool, x: Tensor) -> Tensor:
    """Map (..., *sizes) to (..., *windows)."""
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[_ndim(model) - 1]
    volume = math.prod(model.kernel_size)

    # A convolution, since torch's average of windows has no dilation.
    def mean(each: Tensor) -> Tensor:
        share = torch.full((1, 1, *model.kernel_size), 1 / volume, dtype=x.dtype, device=x.device)
        return convolve(each, share, stride=model.stride, dilation=model.dilation)

    return _over_windows(model, x, 0.0, mean)


def _over_windows(
    model: Pool, x: Tensor, value: float, reduce: Callable[[Tensor], Tensor]
) -> Tensor:
    before = x.shape[: -_ndim(model)]
    numbers = _numbers_of_windows(model, tuple(x.shape))
    unpadded = [True] * len(before)
    padded = pad(x, [*unpadded, *((size, size) for size in model.padding)], value=value)
    reduced = reduce(padded.reshape(-1, 1, *padded.shape[len(before) :]))
    for axis, number in enumerate(numbers, start=2):
        reduced = reduced.narrow(axis, 0, number)
    return reduced.reshape(*before, *numbers)


def _numbers_of_windows(model: Pool, shape: tuple[int, ...]) -> list[int]:
    sizes = zip(
        shape[-_ndim(model) :],
        model.kernel_size,
        model.stride,
        model.dilation,
        model.padding,
        strict=False,
    )
    numbers = [
        model.ceiling((size + 2 * padding - dilation * (kernel - 1)) / stride)
        for size, kernel, stride, dilation, padding in sizes
    ]
    if len(numbers) != _ndim(model) or min(numbers) < 1:
        raise ModelError(
            f"{type(model).__name__}: no window of size {model.kernel_size} with dilation "
            f"{model.dilation} and padding {model.padding} fits into a tensor of shape {shape}"
        )
    return numbers


def _ndim(model: Pool) -> int:
    return len(model.kernel_size)
