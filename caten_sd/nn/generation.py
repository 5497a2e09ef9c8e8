"""generate: continue a prompt token by token, greedily or by sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.nn.transformer import Transformer
from caten_sd.objects.call import call


@torch.no_grad()
def generate(
    model: Transformer,
    tokens: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Return the prompt (batch, time) with ``max_new_tokens`` more tokens at the end of each row.

    Temperature 0 takes the most likely token. A higher one draws tokens with ``generator``, from
    the ``top_k`` most likely if that is given. The cache saves time and never changes a token.
    """
    _check(model, tokens, max_new_tokens, temperature, top_k)
    seen = 0
    try:
        for _ in range(max_new_tokens):
            # A pass that starts at 0 drops what an earlier caller left in the cache.
            logits = call(model, tokens[:, seen:], seen) if use_cache else call(model, tokens)
            seen = tokens.shape[1]
            chosen = _choose(logits[:, -1], temperature, top_k, generator)
            tokens = torch.cat((tokens, chosen.to(tokens.dtype)), dim=1)
    finally:
        model.clear_cache()
    return tokens


def _choose(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    scores = logits.float() / temperature
    if top_k is not None:
        least = scores.topk(min(top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return torch.multinomial(scores.softmax(dim=-1), 1, generator=generator)


def _check(
    model: Transformer, tokens: Tensor, new: int, temperature: float, top_k: int | None
) -> None:
    if tokens.ndim != 2 or tokens.numel() == 0:
        raise ModelError(
            f"generate needs a prompt of shape (batch, time) with at least one token, "
            f"not {tuple(tokens.shape)}"
        )
    if new < 0 or temperature < 0 or (top_k is not None and top_k < 1):
        raise ModelError(
            f"generate needs max_new_tokens and temperature of at least 0 and top_k of at least "
            f"1, not {new}, {temperature} and {top_k}"
        )
    if tokens.shape[1] + new > model.max_seq_len:
        raise ModelError(
            f"{tokens.shape[1]} prompt tokens and {new} new ones are more than the model's "
            f"max_seq_len {model.max_seq_len}; shorten the prompt or ask for fewer"
        )
