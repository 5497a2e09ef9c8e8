"""The generators of NNX as a component of a training, which has all of their keys and counts."""

from __future__ import annotations

from typing import Any

from flax import nnx

from caten_sd.training.components import Component, FilledComponent, component_of


@component_of.register((nnx.Rngs, nnx.RngStream))
def _generators(rngs: Any, /) -> Component:
    """Return a component that holds the same Variables, of which a state has all kinds."""
    return FilledComponent(nnx.state(rngs))
