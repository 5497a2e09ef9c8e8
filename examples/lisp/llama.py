# Written by caten-sd port, which replaces the file as long as nothing is changed (1:7556ae6c8785)
"""Models of llama.lisp, as caten-sd port writes them."""

from __future__ import annotations

import math

import attrs
import torch
from caten_sd import ModelError
from caten_sd.nn import Embedding, Linear, Module, RMSNorm, call
from torch import Tensor
from torch.nn import functional

ROPE_BASE = 10000.0


def rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair of features by the angle of its position."""
    first_half, second_half = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second_half, first_half), dim=-1) * sines


def angles(time: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return the angles (time, width) by which the features of each position turn."""
    if width % 2:
        raise ModelError(f"{width} is not a multiple of 2")
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=device).reshape(1, half) * (-2.0 / width)
    rates = (steps * math.log(ROPE_BASE)).exp()
    places = torch.arange(time, dtype=torch.float32, device=device).reshape(time, 1)
    turns = places * rates
    return torch.cat((turns, turns), dim=-1)


# from llama.lisp:20
@attrs.define(init=False)
class GroupedAttention(Module):
    """Causal attention whose heads share keys and values in groups."""

    head_dim: int
    n_heads: int
    n_groups: int
    q_proj: Linear
    k_proj: Linear
    v_proj: Linear
    o_proj: Linear

    def __init__(self, dim: int, n_heads: int, *, n_groups: int | None = None) -> None:
        if n_groups is None:
            n_groups = n_heads
        self.head_dim = dim // n_heads
        self.n_heads = n_heads
        self.n_groups = n_groups
        self.q_proj = Linear(dim, n_heads * self.head_dim, bias=False)
        self.k_proj = Linear(dim, n_groups * self.head_dim, bias=False)
        self.v_proj = Linear(dim, n_groups * self.head_dim, bias=False)
        self.o_proj = Linear(n_heads * self.head_dim, dim, bias=False)


@call.register(GroupedAttention)
def grouped_attention(model: GroupedAttention, x: Tensor) -> Tensor:
    """Compute the output of GroupedAttention."""
    # x: (batch, time, dim)
    batch, time, _ = x.shape
    turns = angles(time, model.head_dim, device=x.device)
    cosines = turns.cos()
    sines = turns.sin()

    def heads(y: Tensor, count: int) -> Tensor:
        return y.reshape(batch, time, count, model.head_dim).transpose(1, 2)

    def shared(y: Tensor) -> Tensor:
        each = model.n_heads // model.n_groups
        y = y.reshape(batch, model.n_groups, 1, time, model.head_dim)
        y = y.expand(batch, model.n_groups, each, time, model.head_dim)
        return y.reshape(batch, model.n_heads, time, model.head_dim)

    q = rotated(heads(model.q_proj(x), model.n_heads), cosines, sines)
    k = shared(rotated(heads(model.k_proj(x), model.n_groups), cosines, sines))
    v = shared(heads(model.v_proj(x), model.n_groups))
    mask = torch.full((time, time), -math.inf, device=x.device).triu(1)
    scores = q @ k.mT / math.sqrt(model.head_dim) + mask
    mixed = scores.softmax(-1) @ v
    output: Tensor = model.o_proj(
        mixed.transpose(1, 2).reshape(batch, time, model.n_heads * model.head_dim)
    )
    return output


# from llama.lisp:50
@attrs.define(init=False)
class GatedNet(Module):
    """The model GatedNet of llama.lisp."""

    gate_proj: Linear
    up_proj: Linear
    down_proj: Linear

    def __init__(self, dim: int, hidden_dim: int) -> None:
        self.gate_proj = Linear(dim, hidden_dim, bias=False)
        self.up_proj = Linear(dim, hidden_dim, bias=False)
        self.down_proj = Linear(hidden_dim, dim, bias=False)


@call.register(GatedNet)
def gated_net(model: GatedNet, x: Tensor) -> Tensor:
    """Compute the output of GatedNet."""
    # x: (..., dim)
    output: Tensor = model.down_proj(functional.silu(model.gate_proj(x)) * model.up_proj(x))
    return output


# from llama.lisp:59
@attrs.define(init=False)
class DecoderLayer(Module):
    """The model DecoderLayer of llama.lisp."""

    self_attn: GroupedAttention
    mlp: GatedNet
    input_layernorm: RMSNorm
    post_attention_layernorm: RMSNorm

    def __init__(self, dim: int, n_heads: int, n_groups: int, hidden_dim: int, eps: float) -> None:
        self.self_attn = GroupedAttention(dim, n_heads, n_groups=n_groups)
        self.mlp = GatedNet(dim, hidden_dim)
        self.input_layernorm = RMSNorm(dim, eps=eps)
        self.post_attention_layernorm = RMSNorm(dim, eps=eps)


@call.register(DecoderLayer)
def decoder_layer(model: DecoderLayer, x: Tensor) -> Tensor:
    """Compute the output of DecoderLayer."""
    # x: (batch, time, dim)
    x = x + model.self_attn(model.input_layernorm(x))
    output: Tensor = x + model.mlp(model.post_attention_layernorm(x))
    return output


# from llama.lisp:70
@attrs.define(init=False)
class Llama(Module):
    """The model Llama of llama.lisp."""

    embed_tokens: Embedding
    layers: list[DecoderLayer]
    norm: RMSNorm
    lm_head: Linear

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        n_layers: int,
        n_heads: int,
        *,
        n_groups: int | None = None,
        hidden_dim: int | None = None,
        eps: float = 1e-6,
        tied: bool = False,
    ) -> None:
        if n_groups is None:
            n_groups = n_heads
        if hidden_dim is None:
            hidden_dim = 4 * dim
        self.embed_tokens = Embedding(vocab_size, dim)
        self.layers = [
            DecoderLayer(dim, n_heads, n_groups, hidden_dim, eps) for _ in range(n_layers)
        ]
        self.norm = RMSNorm(dim, eps=eps)
        self.lm_head = Linear(dim, vocab_size, bias=False)
        if tied:
            self.lm_head.weight = self.embed_tokens.weight


@call.register(Llama)
def llama(model: Llama, tokens: Tensor) -> Tensor:
    """Return the scores (batch, time, vocab) of the next tokens."""
    # tokens: (batch, time)
    x = model.embed_tokens(tokens)
    for layer in model.layers:
        x = layer(x)
    output: Tensor = model.lm_head(model.norm(x))
    return output
