"""Both models in Flax NNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

R = nnx.Rngs
NORM = {"epsilon": 1e-5, "rngs": R(0)}


class Block(nnx.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(8, **NORM), nnx.LayerNorm(8, **NORM)
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, rngs=R(0))
        self.up, self.down = nnx.Linear(8, 32, rngs=R(0)), nnx.Linear(32, 8, rngs=R(0))

    def __call__(self, x: Any, mask: Any) -> Any:
        x = x + self.attn(self.norm1(x), mask=mask)
        return x + self.down(nnx.gelu(self.up(self.norm2(x))))


class Writer(nnx.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        self.embed, self.positions = nnx.Embed(11, 8, rngs=R(0)), nnx.Embed(6, 8, rngs=R(0))
        self.blocks = nnx.List([Block(), Block()])
        self.norm = nnx.LayerNorm(8, **NORM)
        self.head = nnx.Linear(8, 11, use_bias=False, rngs=R(0))

    def __call__(self, ids: Any) -> Any:
        x = self.embed(ids) + self.positions(jnp.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x, nnx.make_causal_mask(ids))
        return self.head(self.norm(x))


class Seer(nnx.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        valid = {"padding": "VALID", "rngs": R(0)}
        norm = {"use_running_average": True, "rngs": R(0)}
        self.conv1, self.bn1 = nnx.Conv(3, 4, (3, 3), **valid), nnx.BatchNorm(4, **norm)
        self.conv2 = nnx.Conv(4, 6, (3, 3), feature_group_count=2, **valid)
        self.bn2 = nnx.BatchNorm(6, **norm)
        self.fc = nnx.Linear(6, 5, rngs=R(0))

    def __call__(self, x: Any) -> Any:
        x = nnx.relu(self.bn1(self.conv1(jnp.moveaxis(x, 1, -1))))
        x = nnx.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((1, 2)))


transformer, convolutional = Writer, Seer


def run(model: Any, x: Any) -> Any:
    return np.asarray(model(jnp.asarray(x)))


def write(model: Any, folder: Path) -> Path:
    """Write with Orbax, as the guide of NNX does."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as saver:
        saver.save(folder / "model", nnx.state(model))
    return folder / "model"
