"""The states that two sides give: of every kind, closed at the end, and refused if empty."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from caten_sd import diff, explain, suggest
from caten_sd.errors import CatenError, StateDictError
from caten_sd.proof.given_states import given_states

VERBS = pytest.mark.parametrize("verb", [diff, explain, suggest], ids=lambda verb: verb.__name__)


@VERBS
def test_each_verb_takes_files_mappings_and_live_models(
    verb: Callable[..., Any], tmp_path: Path
) -> None:
    model = torch.nn.Linear(4, 3)
    state = {key: each.detach().numpy() for key, each in model.named_parameters()}
    save_file(state, tmp_path / "w.safetensors")
    given = (model, state, tmp_path / "w.safetensors", str(tmp_path / "w.safetensors"))
    assert len({str(verb(model, each)) for each in given}) == 1


@VERBS
def test_files_are_closed_when_the_result_is_there(
    verb: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"w": np.arange(3.0)}, path)
    before = len(os.listdir("/dev/fd"))
    result = verb(path, path)
    assert len(os.listdir("/dev/fd")) == before
    assert result.to_dict()


def test_files_are_open_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"w": np.ones(3)}, path)
    with given_states(path, path, done="compared") as (here, there):
        leaves = here["w"], there["w"]
        assert all(leaf.numpy().sum() == 3 for leaf in leaves)
    for leaf in leaves:
        with pytest.raises(CatenError, match="closed"):
            leaf.numpy()


@VERBS
@pytest.mark.parametrize("side", "AB")
def test_a_side_without_tensors_is_refused(verb: Callable[..., Any], side: str) -> None:
    full, empty = {"w": np.ones(3)}, {"step": 3}
    with pytest.raises(StateDictError, match=f"^{side} has no tensors"):
        verb(*((empty, full) if side == "A" else (full, empty)))


def test_tensors_without_values_are_not_explained() -> None:
    with pytest.raises(StateDictError, match=r"^B has no tensors with values"):
        explain(torch.nn.Linear(4, 3), torch.nn.Linear(4, 3, device="meta"))
