"""Call a model of `caten_sd.nn` as Caten's model of that name is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from caten_sd import nn
from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.operators.operand import as_integer, as_operand
from caten_sd.objects.call import call


def call_built_in(model: Any, *inputs: Any) -> Any:
    """Call any model; of some the inputs or the output are others in Caten."""
    for kind, adapted in _ADAPTED.items():
        if isinstance(model, kind):
            return adapted(model, *inputs)
    if isinstance(model, nn.Module):
        return call(model, *map(as_operand, inputs))
    if not callable(model):
        raise ModelError(f"{text_of(model)} is not a model or a function; call a model")
    return model(*inputs)


def _embedding(model: Any, ids: Any) -> Tensor:
    """Look up rows; the ids may be floats, which indices are in Caten."""
    rows: Tensor = call(model, _as_ids(ids))
    return rows


def _attention(model: Any, x: Any, mask: Any = None, start_pos: Any = None) -> Tensor:
    """Attend with a causal mask, the only one that the model here has."""
    operand = as_operand(x)
    start = None if start_pos is None else as_integer(start_pos, "a start position")
    _require_causal(mask, operand.shape[1], start or 0)
    attended: Tensor = call(model, operand, start)
    return attended


def _transformer(model: Any, tokens: Any, start_pos: Any = None) -> Tensor:
    """Return the most likely token after the last one, of shape (batch, 1, 1)."""
    start = None if start_pos is None else as_integer(start_pos, "a start position")
    logits: Tensor = call(model, _as_ids(tokens), start)
    return logits[:, -1:].argmax(-1, keepdim=True)


def _as_ids(ids: Any) -> Tensor:
    operand = as_operand(ids)
    whole = operand.long()
    if operand.is_floating_point() and not torch.equal(whole.to(operand.dtype), operand):
        raise ModelError("an embedding looks up integers, and these are not whole; round them")
    return whole


def _require_causal(mask: Any, time: int, start: int) -> None:
    if mask is None and time == 1:
        return
    causal = torch.full((time, start + time), -torch.inf, device="cpu").triu(start + 1)
    shown = torch.zeros(()) if mask is None else as_operand(mask).float().cpu()
    if shown.numel() != causal.numel() or not torch.equal(shown.reshape(causal.shape), causal):
        raise ModelError(
            "the built-in attention takes a causal mask alone, and was given another one or none; "
            "define Attention in the file"
        )


_ADAPTED: dict[type, Callable[..., Any]] = {
    nn.Embedding: _embedding,
    nn.Attention: _attention,
    nn.TransformerBlock: _attention,
    nn.Transformer: _transformer,
}
