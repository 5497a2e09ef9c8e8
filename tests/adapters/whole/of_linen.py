"""Both models in Flax linen: a model is its variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.serialization import to_bytes

NORM = {"epsilon": 1e-5}


class Block(nn.Module):  # type: ignore[misc]
    @nn.compact
    def __call__(self, x: Any, mask: Any) -> Any:
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm(**NORM)(x), mask=mask)
        y = nn.gelu(nn.Dense(32)(nn.LayerNorm(**NORM)(x)))
        return x + nn.Dense(8)(y)


class Writer(nn.Module):  # type: ignore[misc]
    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = nn.Embed(11, 8)(ids) + nn.Embed(6, 8)(jnp.arange(ids.shape[1]))
        for _ in range(2):
            x = Block()(x, nn.make_causal_mask(ids))
        return nn.Dense(11, use_bias=False)(nn.LayerNorm(**NORM)(x))


class Seer(nn.Module):  # type: ignore[misc]
    @nn.compact
    def __call__(self, x: Any) -> Any:
        norm = {"use_running_average": True}
        x = nn.Conv(4, (3, 3), padding="VALID")(jnp.moveaxis(x, 1, -1))
        x = nn.relu(nn.BatchNorm(**norm)(x))
        x = nn.Conv(6, (3, 3), feature_group_count=2, padding="VALID")(x)
        x = nn.relu(nn.BatchNorm(**norm)(x))
        return nn.Dense(5)(x.mean((1, 2)))


KEY = jax.random.key(0)
GIVEN = {
    "transformer": (Writer(), jnp.zeros((1, 6), int)),
    "convolutional": (Seer(), jnp.zeros((1, 3, 8, 8))),
}


def transformer() -> Any:
    module, x = GIVEN["transformer"]
    return module.init(KEY, x)


def convolutional() -> Any:
    module, x = GIVEN["convolutional"]
    return module.init(KEY, x)


def paths(name: str) -> Any:
    """Return the modules of a model by their paths."""
    module, x = GIVEN[name]
    return module.module_paths(KEY, x)


def run(model: Any, x: Any) -> Any:
    module = Seer() if "batch_stats" in model else Writer()
    return np.asarray(module.apply(model, jnp.asarray(x)))


def write(model: Any, folder: Path) -> Path:
    (folder / "model.msgpack").write_bytes(to_bytes(model))
    return folder / "model.msgpack"
