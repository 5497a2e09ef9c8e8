"""Moves are prepared while nothing is changed, then made, and undone if a slot refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.loading.load import load_state_dict
from caten_sd.loading.moves import How, Move, with_synthesized_merged


def test_a_closed_file_changes_nothing(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_state_dict(model.state_dict(), tmp_path / "w.safetensors")
    with read_state_dict(tmp_path / "w.safetensors") as file:
        pass
    before = model.weight.clone()
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(model, file)
    assert torch.equal(model.weight, before)


def test_a_streamed_file_loads_and_can_be_closed(tmp_path: Path) -> None:
    saved, model = nn.Linear(2, 2), nn.Linear(2, 2)
    write_state_dict(saved.state_dict(), tmp_path / "w.safetensors")
    with read_state_dict(tmp_path / "w.safetensors", streaming=True) as file:
        load_state_dict(model, file, strict=True)
    assert torch.equal(model.weight, saved.weight)


def test_slots_are_restored_if_a_later_one_refuses() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def __setattr__(self, name: str, value: object) -> None:
            if name == "w" and "w" in self.__dict__.get("_parameters", {}):
                raise RuntimeError("it is welded in")
            super().__setattr__(name, value)

    model = nn.ModuleList([nn.Linear(1, 2, bias=False), Stubborn()])
    kept = model[0].weight
    file = {"0.weight": torch.ones(2, 1), "1.w": torch.ones(2)}
    with pytest.raises(LoadError, match=r"1\.w of ModuleList cannot take .*welded in.*nothing"):
        load_state_dict(model, file, assign=True)
    assert model[0].weight is kept
    load_state_dict(model, file, strict=True)
    assert (model[1].w == 1).all()


def test_a_synthesized_slot_gets_all_of_its_leaves_in_one_move_at_the_end() -> None:
    class Packed:
        owner = nn.Linear(1, 1)

    slot = Packed()
    moves = [
        Move("fc.scale", slot, {"scale": 1}, How.SYNTHESIZED),
        Move("bias", None, 2),
        Move("fc.weight", slot, {"weight": 3}, How.SYNTHESIZED),
    ]
    first, last = with_synthesized_merged(moves)
    assert first is moves[1]
    assert last.leaf == {"scale": 1, "weight": 3}
    assert "Linear" in last.key
    assert "fc.scale" in last.key
    assert moves[0].leaf == {"scale": 1}
