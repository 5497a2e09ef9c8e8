"""Embedding: look up a row of a table for each integer."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import Parameter, functional

from caten_sd.errors import ModelError
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.world_layers import plain
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import require_sizes
from caten_sd.objects.call import call


@attrs.define(init=False)
class Embedding(Module):
    """Rows of ``weight`` (vocab, dim), drawn from normal(0, 1)."""

    vocab_size: int
    embedding_dim: int
    weight: Tensor

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("embedding", plain("weight")),)

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        require_sizes("Embedding", vocab_size=vocab_size, embedding_dim=embedding_dim)
        self.vocab_size, self.embedding_dim = vocab_size, embedding_dim
        self.weight = Parameter(torch.randn(vocab_size, embedding_dim))


@call.register(Embedding)
def embed(model: Embedding, ids: Tensor) -> Tensor:
    """Map integers (...) to rows (..., dim); ModelError for an id outside the table."""
    try:
        return functional.embedding(ids, model.weight)
    except IndexError as error:
        low, high = int(ids.min()), int(ids.max())
        raise ModelError(
            f"the ids run from {low} to {high}, and the embedding has rows 0 to "
            f"{model.weight.shape[0] - 1}; check that the tokenizer belongs to this model"
        ) from error
