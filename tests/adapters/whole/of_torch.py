"""Both models in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x: Any, mask: Any) -> Any:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, attn_mask=mask)[0]
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Writer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.positions = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)

    def forward(self, ids: Any) -> Any:
        size = ids.shape[1]
        x = self.embed(ids) + self.positions(torch.arange(size))
        mask = torch.ones(size, size, dtype=torch.bool).triu(1)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


class Seer(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, groups=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 5),
        )


def transformer() -> Any:
    return randomized(Writer())


def convolutional() -> Any:
    return randomized(Seer())


def randomized(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                value.uniform_(0.5, 1.5) if "var" in name else value.uniform_(-1, 1)
    return model.eval()


def run(model: Any, x: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x)).numpy()


def write(model: Any, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / "model.pt")
    return folder / "model.pt"
