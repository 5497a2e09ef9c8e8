"""RoPE: positions as rotations of neighboring elements."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import require_sizes
from caten_sd.objects.call import call


@attrs.define
class RoPE(Module):
    """Rotate each of ``dim`` pairs of neighboring elements by an angle that grows with position.

    ``dim`` is half the size of a head, as in Caten. The pair i turns by ``base ** (-i / dim)`` from
    one position to the next.

    >>> import torch
    >>> RoPE(1)(torch.tensor([[[[1.0, 0.0]], [[1.0, 0.0]]]]))
    tensor([[[[1.0000, 0.0000]],
    <BLANKLINE>
             [[0.5403, 0.8415]]]])
    """

    dim: int
    base: int = 10000

    def __attrs_post_init__(self) -> None:
        require_sizes("RoPE", dim=self.dim, base=self.base)


@call.register(RoPE)
def rotate(model: RoPE, x: Tensor) -> Tensor:
    """Map (batch, time, heads, 2 * dim) to the same shape."""
    if x.ndim != 4 or x.shape[-1] != 2 * model.dim:
        raise ModelError(
            f"RoPE: x must have the shape (batch, time, heads, {2 * model.dim}), since dim is "
            f"{model.dim}, and has {tuple(x.shape)}"
        )
    pairs = torch.arange(model.dim, dtype=x.dtype, device=x.device)
    positions = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)
    angles = torch.outer(positions, float(model.base) ** (-pairs / model.dim))[:, None, :]
    sine, cosine = angles.sin(), angles.cos()
    first, second = x.reshape(*x.shape[:-1], model.dim, 2).unbind(-1)
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.stack(turned, dim=-1).flatten(-2)
