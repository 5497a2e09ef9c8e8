"""Transformer: GPT-2 as Caten declares it, slot for slot."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.nn.activations.gates import GELU
from caten_sd.nn.attention import Attention
from caten_sd.nn.embedding import Embedding
from caten_sd.nn.linear import Linear
from caten_sd.nn.module import Module
from caten_sd.nn.norm import LayerNorm
from caten_sd.nn.sizes import require_sizes
from caten_sd.objects.call import call


@attrs.define(init=False)
class FeedForward(Module):
    """A Linear, a GELU in its tanh form, and another Linear."""

    c_fc: Linear
    c_proj: Linear

    def __init__(self, dim: int, hidden_dim: int) -> None:
        self.c_fc, self.c_proj = Linear(dim, hidden_dim), Linear(hidden_dim, dim)


@call.register(FeedForward)
def feed_forward(model: FeedForward, x: Tensor) -> Tensor:
    """Map (..., dim) to (..., dim)."""
    output: Tensor = call(model.c_proj, call(GELU(), call(model.c_fc, x)))
    return output


@attrs.define(init=False)
class TransformerBlock(Module):
    """Attention, then a feed-forward net; each reads the normalized input and adds to it."""

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
def transform(model: TransformerBlock, x: Tensor, start_pos: int | None = None) -> Tensor:
    """Map (batch, time, dim) to the same shape."""
    x = x + call(model.attn, call(model.ln_1, x), start_pos)
    output: Tensor = x + call(model.mlp, call(model.ln_2, x))
    return output


@attrs.define(init=False)
class Transformer(Module):
    """GPT-2; `lm_head` has its own weight, and assigning ``wte.weight`` to it ties the two.

    >>> Transformer(32, 2, 2, 1e-5, 32).h
    [TransformerBlock(attn=Attention(...), mlp=FeedForward(...), ...
    """

    vocab_size: int
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
        sizes = {"dim": dim, "n_heads": n_heads, "vocab_size": vocab_size}
        require_sizes("Transformer", **sizes, max_seq_len=max_seq_len)
        require_sizes("Transformer", 0, n_layers=n_layers)
        self.vocab_size = vocab_size
        self.wte, self.wpe = Embedding(vocab_size, dim), Embedding(max_seq_len, dim)
        self.h = [
            TransformerBlock(dim, n_heads, norm_eps=norm_eps, max_seq_len=max_seq_len)
            for _ in range(n_layers)
        ]
        self.ln_f = LayerNorm(dim, eps=norm_eps)
        self.lm_head = Linear(dim, vocab_size, bias=False)

    @property
    def max_seq_len(self) -> int:
        """The number of positions that the model has."""
        return self.wpe.weight.shape[0]

    def clear_cache(self) -> None:
        """Drop the keys and values of earlier positions in every block."""
        for block in self.h:
            block.attn.clear_cache()


@call.register(Transformer)
def logits(model: Transformer, tokens: Tensor, start_pos: int | None = None) -> Tensor:
    """Map token ids (batch, time) to logits (batch, time, vocab).

    With a start position, the tokens follow those of earlier calls through the KV cache, and no
    gradient is recorded. Without one, the call does not change the model.
    """
    _check_tokens(model, tokens, start_pos or 0)
    if start_pos is None:
        return _logits(model, tokens, None)
    with torch.no_grad():
        return _logits(model, tokens, start_pos)


def _logits(model: Transformer, tokens: Tensor, start_pos: int | None) -> Tensor:
    first = start_pos or 0
    positions = torch.arange(first, first + tokens.shape[1], device=tokens.device)
    x = call(model.wte, tokens) + call(model.wpe, positions)
    for block in model.h:
        x = call(block, x, start_pos)
    output: Tensor = call(model.lm_head, call(model.ln_f, x))
    return output


def _check_tokens(model: Transformer, tokens: Tensor, first: int) -> None:
    if tokens.ndim != 2 or tokens.is_floating_point() or not tokens.shape[1]:
        raise ModelError(
            f"tokens must be integers of shape (batch, time) with a time of at least 1, not "
            f"{tokens.dtype} of shape {tuple(tokens.shape)}"
        )
    end = first + tokens.shape[1]
    if first < 0 or end > model.max_seq_len:
        raise ModelError(
            f"the tokens have positions {first} to {end - 1}, and the model has 0 to "
            f"{model.max_seq_len - 1}; pass fewer tokens"
        )
