# Written by caten-sd port, which replaces the file as long as nothing is changed (1:4c9e5fedb65e)
"""Models of gpt2.lisp, as caten-sd port writes them."""

from __future__ import annotations

import math

import attrs
import torch
from caten_sd.nn import Embedding, LayerNorm, Linear, Module, call, cut_caches, transient
from torch import Tensor
from torch.nn import functional

REMEMBER = True


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Mix the values by how well each query matches the keys, where the mask is 0."""
    width = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(width)
    return (scores + mask).softmax(-1) @ value


# from gpt2.lisp:14
@attrs.define(init=False)
class Attention(Module):
    """Self-attention with several heads.

    The caches have the shape (batch, max_seq_len, n_heads, width).
    """

    c_attn: Linear
    c_proj: Linear
    n_heads: int
    max_seq_len: int
    remember: bool
    k_cache: Tensor | None = transient()
    v_cache: Tensor | None = transient()

    def __init__(
        self, dim: int, n_heads: int, max_seq_len: int, *, remember: bool = REMEMBER
    ) -> None:
        self.c_attn = Linear(dim, 3 * dim)
        self.c_proj = Linear(dim, dim)
        self.n_heads = n_heads
        self.max_seq_len = max_seq_len
        self.remember = remember
        self.k_cache = None
        self.v_cache = None


def remembered(model: Attention, key: Tensor, value: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Write keys and values after those of earlier calls, and return all of them."""
    if not model.remember:
        return key, value
    batch, time, n_heads, width = key.shape
    end = start + time
    if model.k_cache is None:
        model.k_cache = torch.zeros(batch, model.max_seq_len, n_heads, width, device=key.device)
    if model.v_cache is None:
        model.v_cache = torch.zeros(batch, model.max_seq_len, n_heads, width, device=key.device)

    def extended(cache: Tensor, new: Tensor) -> Tensor:
        place = cache[:, start:end]
        place.copy_(new.reshape_as(place))
        return cache[:, :end]

    return extended(model.k_cache, key), extended(model.v_cache, value)


@call.register(Attention)
def attention(model: Attention, x: Tensor, mask: Tensor, start: int) -> Tensor:
    """Map x to the same shape; a position sees those that the mask lets it see."""
    # x: (batch, time, dim); mask: (time, seen); start: a number
    batch, time, dim = x.shape

    def by_head(y: Tensor) -> Tensor:
        return y.reshape(batch, time, model.n_heads, dim // model.n_heads)

    query, key, value = model.c_attn(x).chunk(3, dim=-1)
    key, value = remembered(model, by_head(key), by_head(value), start)
    mixed = attend(by_head(query).transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), mask)
    output: Tensor = model.c_proj(mixed.transpose(1, 2).reshape(batch, time, dim))
    return output


call.before(Attention)(cut_caches)
call.after(Attention)(cut_caches)


# from gpt2.lisp:55
@attrs.define(init=False)
class FeedForward(Module):
    """Two linear layers with a GELU between them."""

    c_fc: Linear
    c_proj: Linear

    def __init__(self, dim: int, hidden_dim: int) -> None:
        self.c_fc = Linear(dim, hidden_dim)
        self.c_proj = Linear(hidden_dim, dim)


@call.register(FeedForward)
def feed_forward(model: FeedForward, x: Tensor) -> Tensor:
    """Map x to the same shape."""
    # x: (..., dim)
    output: Tensor = model.c_proj(functional.gelu(model.c_fc(x), approximate="tanh"))
    return output


# from gpt2.lisp:65
@attrs.define(init=False)
class TransformerBlock(Module):
    """Attention and a feed-forward net; each adds to its normalized input."""

    attn: Attention
    mlp: FeedForward
    ln_1: LayerNorm
    ln_2: LayerNorm

    def __init__(
        self, dim: int, n_heads: int, *, norm_eps: float = 1e-5, max_seq_len: int = 1024
    ) -> None:
        self.attn = Attention(dim, n_heads, max_seq_len)
        self.mlp = FeedForward(dim, 4 * dim)
        self.ln_1 = LayerNorm(dim, eps=norm_eps)
        self.ln_2 = LayerNorm(dim, eps=norm_eps)


@call.register(TransformerBlock)
def transformer_block(model: TransformerBlock, x: Tensor, mask: Tensor, start: int) -> Tensor:
    """Map x to the same shape."""
    x = x + model.attn(model.ln_1(x), mask, start)
    output: Tensor = x + model.mlp(model.ln_2(x))
    return output


# from gpt2.lisp:79
@attrs.define(init=False)
class Transformer(Module):
    """GPT-2, whose head has a weight of its own."""

    wte: Embedding
    wpe: Embedding
    h: list[TransformerBlock]
    ln_f: LayerNorm
    lm_head: Linear

    def __init__(
        self,
        dim: int,
        n_heads: int,
        n_layers: int,
        norm_eps: float,
        vocab_size: int,
        *,
        max_seq_len: int = 1024,
    ) -> None:
        self.wte = Embedding(vocab_size, dim)
        self.wpe = Embedding(max_seq_len, dim)
        self.h = [
            TransformerBlock(dim, n_heads, norm_eps=norm_eps, max_seq_len=max_seq_len)
            for _ in range(n_layers)
        ]
        self.ln_f = LayerNorm(dim, eps=norm_eps)
        self.lm_head = Linear(dim, vocab_size, bias=False)


@call.register(Transformer)
def transformer(model: Transformer, tokens: Tensor, start: int) -> Tensor:
    """Return the scores (batch, time, vocab) of the tokens that may follow each one.

    The tokens have the positions from start on, and follow those of earlier calls.
    """
    # tokens: (batch, time); start: a number
    time = tokens.shape[1]
    places = start + torch.arange(time, dtype=tokens.dtype, device=tokens.device).reshape(1, time)
    mask = torch.full((time, start + time), -math.inf, device=tokens.device).triu(start + 1)
    x = model.wte(tokens) + model.wpe(places)
    for block in model.h:
        x = block(x, mask, start)
    output: Tensor = model.lm_head(model.ln_f(x))
    return output
