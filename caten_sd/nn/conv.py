"""Convolution over one to three dimensions."""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor
from torch.nn import Parameter, functional

from caten_sd.errors import ModelError
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.world_layers import plain
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import Sizes, require_sizes, spread_sizes
from caten_sd.objects.call import call


@attrs.define(init=False)
class ConvND(Module):
    """Convolution whose kernel has a size per dimension; weight is (out, in / groups, *kernel).

    Weight and bias are uniform in ±sqrt(groups / (in * kernel volume)). Its numbers are Caten's and
    torch's, but torch's alone where strides or paddings differ between the axes: Caten's are
    others there. Caten makes the weights in the first call, and here they exist from the start.
    """

    ndim: ClassVar[int | None] = None

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("convolution", plain("weight", "bias"), groups=self.groups),)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        *,
        stride: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        _check_channels(in_channels, out_channels, groups)
        name = type(self).__name__
        kernel = spread_sizes(name, "kernel_size", kernel_size, self.ndim)
        self.stride = spread_sizes(name, "stride", stride, len(kernel))
        self.padding = spread_sizes(name, "padding", padding, len(kernel), least=0)
        self.dilation = spread_sizes(name, "dilation", dilation, len(kernel))
        self.groups = groups
        bound = (groups / (in_channels * math.prod(kernel))) ** 0.5
        weight = torch.empty(out_channels, in_channels // groups, *kernel)
        self.weight = Parameter(weight.uniform_(-bound, bound))
        self.bias = Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None


@attrs.define(init=False)
class Conv1d(ConvND):
    """Convolution of (batch, channels, length)."""

    ndim: ClassVar[int | None] = 1


@attrs.define(init=False)
class Conv2d(ConvND):
    """Convolution of (batch, channels, height, width)."""

    ndim: ClassVar[int | None] = 2


@attrs.define(init=False)
class Conv3d(ConvND):
    """Convolution of (batch, channels, depth, height, width)."""

    ndim: ClassVar[int | None] = 3


@call.register(ConvND)
def conv(model: ConvND, x: Tensor) -> Tensor:
    """Map (batch, in, *sizes) to (batch, out, *sizes)."""
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[model.weight.ndim - 3]
    return convolve(
        x,
        model.weight,
        model.bias,
        stride=model.stride,
        padding=model.padding,
        dilation=model.dilation,
        groups=model.groups,
    )


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    require_sizes("Conv", in_channels=in_channels, out_channels=out_channels, groups=groups)
    if in_channels % groups or out_channels % groups:
        raise ModelError(
            f"Conv: {groups} groups do not divide {in_channels} channels in and {out_channels} "
            f"out; change either"
        )
