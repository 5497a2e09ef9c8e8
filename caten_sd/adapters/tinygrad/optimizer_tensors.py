"""The optimizers of tinygrad as components of a training: all that they change are tensors."""

from __future__ import annotations

from typing import Any

from tinygrad.nn.optim import Optimizer

from caten_sd.training.components import Component, FilledComponent, component_of


@component_of.register(Optimizer)
def _optimizer(optimizer: Any, /) -> Component:
    """Return a component without the numbers that the optimizer was made with, as its own save."""
    return FilledComponent(optimizer)
