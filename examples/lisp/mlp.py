# Written by caten-sd port, which replaces the file as long as nothing is changed (1:11061b35cde1)
"""Models of mlp.lisp, as caten-sd port writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from caten_sd.nn import Linear, Module, Sequential, call, slot
from torch import Tensor


# from mlp.lisp:3
@attrs.define(init=False)
class MLP(Sequential):
    """The model MLP of mlp.lisp."""

    nodes: list[Callable[..., Any]] = slot(key="mlp")

    def __init__(
        self,
        in_features: int,
        hidden_dim: int,
        out_features: int,
        *,
        activation: Callable[..., Any] = torch.relu,
    ) -> None:
        super().__init__(
            Linear(in_features, hidden_dim),
            activation,
            Linear(hidden_dim, hidden_dim),
            activation,
            Linear(hidden_dim, out_features),
        )


# from mlp.lisp:10
@attrs.define(init=False)
class Digits(Module):
    """An MLP over the pixels of an image, and probabilities of its classes."""

    size: int
    mlp: MLP

    def __init__(self, *, size: int = 28, hidden_dim: int = 512, classes: int = 10) -> None:
        self.size = size
        self.mlp = MLP(size * size, hidden_dim, classes)


@call.register(Digits)
def digits(model: Digits, image: Tensor) -> Tensor:
    """Return the probability of each class."""
    # image: (batch, height, width)
    batch = image.shape[0]
    output: Tensor = model.mlp(image.reshape(batch, model.size * model.size)).softmax(-1)
    return output
