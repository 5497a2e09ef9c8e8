"""Models of standard layers, and the names that a layout between two of them has."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import nn

from caten_sd.nn import Module


class Net(nn.Module):
    """Layers of which two are of one shape, below others."""

    def __init__(self, body: str = "body") -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3)]
        self.add_module(body, nn.Sequential(*layers))
        self.head = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(3))


@attrs.define
class Small(Module):
    """The layers of Caten's that have another name for a part than torch."""

    conv: Any
    norm: Any
    head: Any


def keys(layout: Any) -> dict[str, str]:
    """Return the names that each row takes and gives."""
    return {" ".join(row.canonical_names): " ".join(row.names) for row in layout.rows}
