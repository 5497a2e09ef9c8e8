"""Both models in Equinox: the convolutional one is a module and its State."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

nn = eqx.nn
KEY = jax.random.key(0)


class Block(eqx.Module):  # type: ignore[misc]
    norm1: Any
    norm2: Any
    attn: Any
    up: Any
    down: Any

    def __init__(self) -> None:
        names = ("query", "key", "value", "output")
        biases = {f"use_{name}_bias": True for name in names}
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(2, 8, **biases, key=KEY)
        self.up, self.down = nn.Linear(8, 32, key=KEY), nn.Linear(32, 8, key=KEY)

    def __call__(self, x: Any, mask: Any) -> Any:
        y = jax.vmap(self.norm1)(x)
        x = x + self.attn(y, y, y, mask=mask)
        return x + jax.vmap(lambda each: self.down(jax.nn.gelu(self.up(self.norm2(each)))))(x)


class Writer(eqx.Module):  # type: ignore[misc]
    embed: Any
    positions: Any
    blocks: list[Any]
    norm: Any
    head: Any

    def __init__(self) -> None:
        self.embed, self.positions = nn.Embedding(11, 8, key=KEY), nn.Embedding(6, 8, key=KEY)
        self.blocks = [Block(), Block()]
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, use_bias=False, key=KEY)

    def __call__(self, ids: Any) -> Any:
        size = len(ids)
        x = jax.vmap(self.embed)(ids) + jax.vmap(self.positions)(jnp.arange(size))
        for block in self.blocks:
            x = block(x, jnp.tril(jnp.ones((size, size), bool)))
        return jax.vmap(lambda each: self.head(self.norm(each)))(x)


class Seer(eqx.Module):  # type: ignore[misc]
    conv1: Any
    bn1: Any
    conv2: Any
    bn2: Any
    fc: Any

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(3, 4, 3, key=KEY)
        self.bn1 = nn.BatchNorm(4, "batch", mode="batch")
        self.conv2 = nn.Conv2d(4, 6, 3, groups=2, key=KEY)
        self.bn2 = nn.BatchNorm(6, "batch", mode="batch")
        self.fc = nn.Linear(6, 5, key=KEY)

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.bn1(self.conv1(x), state)
        x, state = self.bn2(self.conv2(jax.nn.relu(x)), state)
        return self.fc(jax.nn.relu(x).mean((1, 2)))


transformer = Writer


def convolutional() -> Any:
    return nn.make_with_state(Seer)()


def run(model: Any, x: Any) -> Any:
    if isinstance(model, tuple):
        module, state = nn.inference_mode(model)
        return np.asarray(jax.vmap(lambda one: module(one, state), axis_name="batch")(x))
    return np.asarray(jax.vmap(model)(jnp.asarray(x)))


def write(model: Any, folder: Path) -> Path:
    eqx.tree_serialise_leaves(folder / "model.eqx", model)
    return folder / "model.eqx"
