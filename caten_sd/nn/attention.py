"""Attention: causal self-attention with several heads; its KV cache is not state."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from caten_sd.errors import ModelError
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.world_layers import joined_attention
from caten_sd.nn.linear import Linear
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import require_sizes
from caten_sd.objects.call import call
from caten_sd.objects.slots import transient


@attrs.define(init=False)
class Attention(Module):
    """`c_attn` gives query, key and value as equal chunks; `c_proj` mixes the heads.

    The caches have the shape (batch, heads, positions, head_dim). They are None before the first
    call with a start position, and after ``clear_cache``.
    """

    c_attn: Linear
    c_proj: Linear
    n_heads: int
    head_dim: int
    max_seq_len: int
    k_cache: Tensor | None = transient(default=None)
    v_cache: Tensor | None = transient(default=None)

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework, which may have two dense layers in its place."""
        rows = joined_attention("c_attn", "c_proj")
        return (StandardLayer("attention", rows, heads=self.n_heads, opens=True),)

    def __init__(self, dim: int, n_heads: int, max_seq_len: int = 1024) -> None:
        require_sizes("Attention", dim=dim, n_heads=n_heads, max_seq_len=max_seq_len)
        if dim % n_heads:
            raise ModelError(f"Attention: {n_heads} heads do not divide dim {dim}; change either")
        self.c_attn, self.c_proj = Linear(dim, 3 * dim), Linear(dim, dim)
        self.n_heads, self.head_dim, self.max_seq_len = n_heads, dim // n_heads, max_seq_len
        self.clear_cache()

    def clear_cache(self) -> None:
        """Drop the keys and values of earlier positions."""
        self.k_cache = self.v_cache = None


@call.register(Attention)
def attend(model: Attention, x: Tensor, start_pos: int | None = None) -> Tensor:
    """Map (batch, time, dim) to the same shape; each position sees itself and those before it.

    With a start position, x follows the cached positions before it, and the cache grows by x.
    """
    heads = (model.n_heads, model.head_dim)
    query, key, value = (
        each.unflatten(-1, heads).transpose(1, 2) for each in call(model.c_attn, x).chunk(3, dim=-1)
    )
    if start_pos is not None:
        key, value = _extend_cache(model, key, value, start_pos)
    mixed = _causal_attention(query, key, value)
    output: Tensor = call(model.c_proj, mixed.transpose(1, 2).flatten(-2))
    return output


def _causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    time, seen = query.shape[-2], key.shape[-2]
    if time in (1, seen):
        return functional.scaled_dot_product_attention(query, key, value, is_causal=time == seen)
    mask = torch.ones(time, seen, dtype=torch.bool, device=query.device).tril(seen - time)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _extend_cache(
    model: Attention, key: Tensor, value: Tensor, start_pos: int
) -> tuple[Tensor, Tensor]:
    _check_start(model, key, start_pos)
    if start_pos and model.k_cache is not None and model.v_cache is not None:
        # Joined instead of written in place, since an earlier pass may still need its gradients.
        key = torch.cat((model.k_cache[:, :, :start_pos], key), dim=2)
        value = torch.cat((model.v_cache[:, :, :start_pos], value), dim=2)
    model.k_cache, model.v_cache = key.detach(), value.detach()
    return key, value


def _check_start(model: Attention, key: Tensor, start_pos: int) -> None:
    cached = 0 if model.k_cache is None else model.k_cache.shape[2]
    if not 0 <= start_pos <= cached:
        raise ModelError(
            f"start_pos is {start_pos} and the cache holds {cached} "
            f"position{'' if cached == 1 else 's'}; begin at 0 and go on where the last call ended"
        )
    end = start_pos + key.shape[2]
    if end > model.max_seq_len:
        raise ModelError(
            f"{end} positions are more than max_seq_len {model.max_seq_len}; pass fewer tokens"
        )
    if start_pos and model.k_cache is not None and model.k_cache.shape[0] != key.shape[0]:
        raise ModelError(
            f"the cache holds a batch of {model.k_cache.shape[0]}, not of {key.shape[0]}; "
            f"begin a new batch with start_pos 0"
        )
