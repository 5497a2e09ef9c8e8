"""LayerNorm, RMSNorm and BatchNorm, with Caten's slot names."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor
from torch.nn import Parameter, functional

from caten_sd.errors import ModelError
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.world_layers import STATISTICS, plain
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import as_sizes, require_sizes
from caten_sd.objects.call import call
from caten_sd.objects.slots import buffer

_BATCH_NORM = plain("bias", *STATISTICS, weight="affine")


@attrs.define(init=False)
class LayerNorm(Module):
    """Normalize the last axes, of sizes ``dims``, to zero mean and unit variance; scale, shift.

    With ``last_axis_only``, mean and variance are those of the last axis whatever ``dims`` has, as
    in Caten; scale and shift have the shape ``dims`` all the same.

    >>> LayerNorm((3, 4), last_axis_only=True).affine.shape
    torch.Size([3, 4])
    """

    affine: Tensor | None
    bias: Tensor | None
    eps: float
    dims: tuple[int, ...]
    last_axis_only: bool

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("layer norm", plain("bias", weight="affine"), epsilon=self.eps),)

    def __init__(
        self,
        dims: int | Sequence[int],
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        last_axis_only: bool = False,
    ) -> None:
        self.dims, self.eps = as_sizes("LayerNorm", dims), eps
        self.last_axis_only = last_axis_only
        self.affine = Parameter(torch.ones(self.dims)) if affine else None
        self.bias = Parameter(torch.zeros(self.dims)) if bias else None


@call.register(LayerNorm)
def layer_norm(model: LayerNorm, x: Tensor) -> Tensor:
    """Normalize (..., *dims)."""
    if not model.last_axis_only:
        return functional.layer_norm(x, model.dims, model.affine, model.bias, model.eps)
    normal = functional.layer_norm(x, model.dims[-1:], eps=model.eps)
    scaled = normal if model.affine is None else normal * model.affine
    return scaled if model.bias is None else scaled + model.bias


@attrs.define(init=False)
class RMSNorm(Module):
    """Divide the last axes, of sizes ``dims``, by their root mean square; then scale.

    With ``last_axis_only``, the root mean square is that of the last axis whatever ``dims`` has, as
    in Caten.
    """

    weight: Tensor | None
    eps: float
    dims: tuple[int, ...]
    last_axis_only: bool

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("RMS norm", plain("weight"), epsilon=self.eps),)

    def __init__(
        self,
        dims: int | Sequence[int],
        *,
        eps: float = 1e-5,
        weight: bool = True,
        last_axis_only: bool = False,
    ) -> None:
        self.dims, self.eps = as_sizes("RMSNorm", dims), eps
        self.last_axis_only = last_axis_only
        self.weight = Parameter(torch.ones(self.dims)) if weight else None


@call.register(RMSNorm)
def rms_norm(model: RMSNorm, x: Tensor) -> Tensor:
    """Normalize (..., *dims)."""
    if not model.last_axis_only:
        return functional.rms_norm(x, model.dims, model.weight, model.eps)
    normal = functional.rms_norm(x, model.dims[-1:], eps=model.eps)
    return normal if model.weight is None else normal * model.weight


@attrs.define(init=False)
class BatchNorm(Module):
    """Normalize each channel (axis 1) of a batch to zero mean and unit variance; scale, shift.

    Training updates running statistics, kept in buffers, by torch's ``momentum``. After `eval`
    these are used instead of the batch's own. Caten's BatchNorm is another function: it takes the
    last axes, has no running statistics, and fails on images. Only the keys ``affine`` and
    ``bias`` agree.
    """

    affine: Tensor | None
    bias: Tensor | None
    eps: float
    momentum: float
    training: bool
    running_mean: Tensor = buffer()
    running_var: Tensor = buffer()
    num_batches_tracked: Tensor = buffer()

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("batch norm", _BATCH_NORM, epsilon=self.eps),)

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        momentum: float = 0.1,
    ) -> None:
        require_sizes("BatchNorm", channels=channels)
        self.eps, self.momentum, self.training = eps, momentum, True
        self.affine = Parameter(torch.ones(channels)) if affine else None
        self.bias = Parameter(torch.zeros(channels)) if bias else None
        self.running_mean = torch.zeros(channels)
        self.running_var = torch.ones(channels)
        self.num_batches_tracked = torch.tensor(0)


@call.register(BatchNorm)
def batch_norm(model: BatchNorm, x: Tensor) -> Tensor:
    """Normalize (batch, channels, ...)."""
    if model.training:
        if x.numel() // max(x.shape[1], 1) < 2:
            raise ModelError(
                f"a batch of shape {tuple(x.shape)} has only one value per channel and thus no "
                f"variance; train on a larger batch, or call eval() first"
            )
        model.num_batches_tracked += 1
    return functional.batch_norm(
        x,
        model.running_mean,
        model.running_var,
        model.affine,
        model.bias,
        model.training,
        model.momentum,
        model.eps,
    )
