"""Both models in MLX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn


class Block(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiHeadAttention(8, 2, bias=True)
        self.linear1, self.linear2 = nn.Linear(8, 32), nn.Linear(32, 8)

    def __call__(self, x: Any, mask: Any) -> Any:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, mask)
        return x + self.linear2(nn.gelu_approx(self.linear1(self.norm2(x))))


class Writer(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.layers = [Block(), Block()]
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 11, bias=False)

    def __call__(self, ids: Any) -> Any:
        x = self.embedding(ids) + self.places(mx.arange(ids.shape[1]))
        mask = nn.MultiHeadAttention.create_additive_causal_mask(ids.shape[1])
        for layer in self.layers:
            x = layer(x, mask)
        return self.out(self.norm(x))


class Seer(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = [
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, groups=2),
            nn.BatchNorm(6),
            nn.ReLU(),
        ]
        self.out = nn.Linear(6, 5)

    def __call__(self, x: Any) -> Any:
        x = x.transpose(0, 2, 3, 1)
        for layer in self.layers:
            x = layer(x)
        return self.out(x.mean((1, 2)))


transformer, convolutional = Writer, Seer


def run(model: Any, x: Any) -> Any:
    model.eval()
    return np.array(model(mx.array(x)))


def write(model: Any, folder: Path) -> Path:
    model.save_weights(str(folder / "model.safetensors"))
    return folder / "model.safetensors"
