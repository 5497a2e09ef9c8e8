"""A plan is applied whole or not at all, and the report says what its casts have lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import plan_load
from caten_sd.loading.report import Outcome
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source


def test_a_plan_can_be_applied_again() -> None:
    model = {"w": torch.zeros(2)}
    plan = plan_load(model, {"w": torch.ones(2)})
    plan.apply()
    model["w"].zero_()
    plan.apply()
    assert model["w"].tolist() == [1, 1]


def test_a_narrowing_is_counted_with_its_largest_error() -> None:
    # Failure case 16; today it is silent.
    model = nn.Linear(3, 2).to(torch.bfloat16)
    file = {"weight": torch.zeros(2, 3), "bias": torch.tensor([1.0, 1.001])}
    report = plan_load(model, file).apply()
    errors = {row.key: row.error for row in report.of(Outcome.CAST)}
    assert errors == {"weight": 0, "bias": pytest.approx(0.001, rel=0.01)}
    assert "largest error 0.001" in str(report)


def test_a_widening_loses_nothing_and_has_no_error() -> None:
    report = plan_load([torch.zeros(2)], {"0": torch.ones(2, dtype=torch.float16)}).apply()
    assert [row.error for row in report.rows] == [None]


def test_a_replaced_slot_has_the_error_of_its_cast_too() -> None:
    model, file = nn.Linear(1, 1, bias=False), {"weight": torch.tensor([[1.001]])}
    report = plan_load(model, file, dtype="bfloat16").apply()
    assert [row.error for row in report.rows] == [pytest.approx(0.001, rel=0.01)]
    assert model.weight.dtype is torch.bfloat16


def test_a_plan_that_fails_half_way_is_attached_to_the_error() -> None:
    model = {"a": np.zeros(1), "b": torch.zeros(1)}
    source = Source("w.bin", BytesBacking(b""), 0, 0)  # 4 bytes are wanted
    unreadable = LazyTensor(source, 0, DTYPES["float32"], (1,))
    plan = plan_load(model, {"a": np.ones(1), "b": unreadable})
    with pytest.raises(LoadError, match=r"^b .*nothing was changed") as caught:
        plan.apply()
    assert caught.value.plan is plan
    assert not model["a"].any()
