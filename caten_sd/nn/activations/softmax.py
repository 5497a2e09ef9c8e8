"""Softmax and its relatives: scores along an axis as probabilities."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from caten_sd.nn.module import Module
from caten_sd.objects.call import call


@attrs.define
class Softmax(Module):
    """exp(x), scaled to sum to one along ``axis``.

    >>> import torch
    >>> Softmax()(torch.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    axis: int = -1


@attrs.define
class LogSoftmax(Module):
    """Logarithm of the softmax along ``axis``.

    >>> import torch
    >>> LogSoftmax()(torch.zeros(1)).tolist()
    [0.0]
    """

    axis: int = -1


@attrs.define
class Softmin(Module):
    """Softmax of -x along the last axis.

    >>> import torch
    >>> Softmin()(torch.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """


@call.register(Softmax)
def softmax(model: Softmax, x: Tensor) -> Tensor:
    """Map scores (...) to probabilities."""
    return torch.softmax(x, model.axis)


@call.register(LogSoftmax)
def log_softmax(model: LogSoftmax, x: Tensor) -> Tensor:
    """Map scores (...) to logarithms of probabilities."""
    return torch.log_softmax(x, model.axis)


@call.register(Softmin)
def softmin(model: Softmin, x: Tensor) -> Tensor:
    """Map scores (...) to probabilities, the least score to the largest one."""
    return torch.softmax(-x, -1)
