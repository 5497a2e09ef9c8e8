"""Both spellings of weight_norm and spectral_norm load into each other."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from caten_sd.loading.load import load_state_dict, plan_load


def old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(module)


SPELLINGS = {
    "weight_norm": (old_weight_norm, nn.utils.parametrizations.weight_norm),
    "spectral_norm": (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm),
}


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("turn", [1, -1], ids=["old to new", "new to old"])
@pytest.mark.parametrize("norm", SPELLINGS)
def test_both_spellings_load_into_each_other(norm: str, turn: int, assign: bool) -> None:
    # Failure case 28; torch itself loads old into new weight_norm and nothing else.
    saved, model = (
        spell(nn.Sequential(nn.Conv1d(2, 3, 2))[0]) for spell in SPELLINGS[norm][::turn]
    )
    saved, model = nn.Sequential(saved), nn.Sequential(model)
    plan = plan_load(model, saved.state_dict(), assign=assign)
    assert plan.fits
    assert "other spelling" in plan.notes[0]
    plan.apply()
    inputs = torch.ones(1, 2, 5)
    with torch.no_grad():
        assert torch.equal(model.eval()(inputs), saved.eval()(inputs))


def test_a_wrapped_file_in_the_other_spelling() -> None:
    saved = old_weight_norm(nn.Linear(3, 2))
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    file = {f"module.{key}": leaf for key, leaf in saved.state_dict().items()}
    load_state_dict(model, file, strict=True)
    assert torch.equal(model.weight, saved.weight)


def test_a_name_with_the_same_ending_is_not_a_spelling() -> None:
    model = nn.Module()
    model.gain_v = nn.Parameter(torch.zeros(2))
    file = {"gain_v": torch.ones(2)}
    assert not plan_load(model, file).notes
