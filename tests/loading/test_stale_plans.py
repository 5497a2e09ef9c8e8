"""A plan that was made before its object changed loads nothing into what is no longer there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import plan_load
from caten_sd.objects.extract import get_state_dict
from caten_sd.training.training_state import TrainingState


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


def other_parameter(net: Any) -> None:
    net[0].weight = nn.Parameter(torch.zeros(2, 2))


def other_child(net: Any) -> None:
    net[1] = nn.Linear(2, 1)


def other_size(net: Any) -> None:
    net[0].weight = nn.Parameter(torch.zeros(5, 2))


def one_more(net: Any) -> None:
    net.append(nn.Linear(1, 1))


def one_less(net: Any) -> None:
    del net[1]


CHANGES = [other_parameter, other_child, other_size, one_more, one_less]


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_for_what_was_replaced_is_refused(
    change: Callable[[Any], None], assign: bool
) -> None:
    net = model()
    plan = plan_load(net, {k: v + 1 for k, v in model().state_dict().items()}, assign=assign)
    change(net)
    before = {key: leaf.clone() for key, leaf in net.state_dict().items()}
    with pytest.raises(LoadError, match="changed after the plan was made"):
        plan.apply()
    assert all(torch.equal(before[key], leaf) for key, leaf in net.state_dict().items())


def test_new_values_in_the_same_arrays_are_no_change() -> None:
    net, file = model(), model().state_dict()
    plan = plan_load(net, file)
    with torch.no_grad():
        net[0].weight.fill_(7)
    assert plan.apply().fits
    assert plan.apply().fits  # and once more
    assert torch.equal(net[0].weight, file["0.weight"])


def test_a_list_that_was_filled_anew_is_named() -> None:
    obj = {"layers": [np.zeros(2), np.zeros(2)]}
    plan = plan_load(obj, {"layers.0": np.ones(2), "layers.1": np.ones(2)})
    obj["layers"] = [np.zeros(2), np.zeros(2)]
    with pytest.raises(LoadError, match=r"layers\.0, layers\.1 of dict"):
        plan.apply()


def test_a_training_is_checked_too() -> None:
    net = model()
    training = TrainingState(net, torch.optim.SGD(net.parameters(), lr=0.1))
    plan = plan_load(training, get_state_dict(training))
    other_child(net)
    with pytest.raises(LoadError, match="changed after the plan was made"):
        plan.apply()
