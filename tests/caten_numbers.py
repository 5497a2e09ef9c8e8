"""What the real Caten computed: models, their weights, inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from caten_sd.loading.load import load_state_dict

_FILE = Path(__file__).parent / "data" / "caten_numbers.json"
CASES: dict[str, dict[str, Any]] = json.loads(_FILE.read_text())["cases"]
TOLERANCE = 2e-5  # of the largest output: what Caten's own arithmetic in float32 allows


def inputs_of(name: str) -> list[torch.Tensor]:
    return [_tensor(each) for each in CASES[name]["inputs"]]


def with_weights(name: str, model: Any) -> Any:
    """Give the model the weights of Caten's, all of them."""
    weights = {key: _tensor(each) for key, each in CASES[name]["weights"].items()}
    return load_state_dict(model, weights, strict=True) if weights else model


def assert_as_in_caten(name: str, output: torch.Tensor) -> None:
    expected = _tensor(CASES[name]["output"])
    assert output.shape == expected.shape
    assert (output - expected).abs().max() <= TOLERANCE * expected.abs().max()


def _tensor(entry: dict[str, Any]) -> torch.Tensor:
    return torch.tensor([float(each) for each in entry["values"]]).reshape(entry["shape"])
