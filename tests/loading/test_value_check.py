"""Odd values are named and never repaired; a strict load refuses what is not finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError, LoadWarning
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.repairs import skip
from caten_sd.loading.value_check import finding
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (np.ones(3), ""),
        (np.zeros(3), "all zero"),
        (np.zeros(1), ""),  # a count that has not begun
        (np.zeros(0), ""),
        (np.array([0, 0], np.int64), "all zero"),
        (np.array([np.nan, 1, np.inf], np.float16), "1 NaN, 1 Inf"),
        (np.array([complex(np.nan, 1), 0]), "1 NaN"),
        (torch.tensor([1, torch.inf]).bfloat16(), "1 Inf"),
        (torch.tensor([1, torch.nan]).to(torch.float8_e5m2), "1 NaN"),
        (np.array([True, False]), ""),
    ],
)
def test_finding(leaf: object, expected: str) -> None:
    assert finding(leaf) == expected


def test_a_nan_far_into_a_large_tensor_is_found() -> None:
    leaf = np.ones(3_000_000, np.float32)
    leaf[2_900_000] = np.nan
    assert finding(leaf) == "1 NaN"


def model_and_file() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    file = {key: torch.ones_like(leaf) for key, leaf in model.state_dict().items()}
    file["0.weight"][0, 0] = torch.nan
    file["0.bias"] *= 0
    del file["1.bias"]
    return model, file


def test_odd_values_and_slots_without_a_value_are_named_in_the_plan() -> None:
    model, file = model_and_file()
    plan = plan_load(model, file, check_values=True)
    assert {row.key: row.finding for row in plan.rows} == {
        "0.weight": "1 NaN",
        "0.bias": "all zero",
        "1.weight": "",
        "1.bias": "never written",
    }
    text = str(plan)
    assert "odd values (3):" in text
    assert "  0.weight: 1 NaN" in text
    assert plan.to_dict()["sound"] is False
    odd = plan.to_dict()["groups"]["odd values"]
    assert odd[0] == {"key": "0.weight", "detail": "1 NaN"}


def test_no_value_is_checked_unless_asked() -> None:
    model, file = model_and_file()
    plan = plan_load(model, file)
    assert plan.sound
    assert not any(row.finding for row in plan.rows)


def test_a_load_warns_once_and_loads_what_is_there() -> None:
    model, file = model_and_file()
    with pytest.warns(LoadWarning, match=r"1 with NaN or Inf, loaded: 0\.weight"):
        load_state_dict(model, file, check_values=True, on_mismatch={"1.bias": skip})
    assert torch.isnan(model[0].weight[0, 0])


def test_a_strict_load_refuses_what_is_not_finite_and_not_what_is_zero() -> None:
    model, file = model_and_file()
    before = model[0].weight.clone()
    file["1.bias"] = torch.ones(2)
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(model, file, check_values=True, strict=True)
    assert torch.equal(model[0].weight, before)
    file["0.weight"] = torch.zeros(2, 2)
    load_state_dict(model, file, check_values=True, strict=True)


def test_what_cannot_be_read_is_named() -> None:
    source = Source("w.bin", BytesBacking(b"1234"), 0, 4)
    file = {"w": LazyTensor(source, 0, DTYPES["float32"], (2,))}
    with pytest.raises(LoadError, match=r"^w cannot be read"):
        plan_load({"w": np.zeros(2, np.float32)}, file, check_values=True)
