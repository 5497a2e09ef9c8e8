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
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.keys import Pair, Path
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


def other_size_of_the_same_parameter(net: Any) -> None:
    net[0].weight.data = torch.zeros(5, 2)


def other_dtype_of_the_same_parameters(net: Any) -> None:
    net.half()


CHANGES = [
    other_parameter,
    other_child,
    other_size,
    other_size_of_the_same_parameter,
    other_dtype_of_the_same_parameters,
    one_more,
    one_less,
]


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


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return model()


def in_memory(net: Any) -> None:
    net.to_empty(device="cpu")


@pytest.mark.parametrize("change", [other_parameter, other_child, in_memory])
def test_a_parameter_without_memory_that_was_replaced_is_noticed(
    change: Callable[[Any], None],
) -> None:
    net = on_meta()
    plan = plan_load(net, model().state_dict(), assign=True)
    with torch.device("meta"):
        change(net)
    now = dict(net.named_parameters())
    with pytest.raises(LoadError, match="changed after the plan was made"):
        plan.apply()
    assert all(net.get_parameter(name) is leaf for name, leaf in now.items())


def test_a_model_without_memory_that_is_as_it_was_is_loaded() -> None:
    net, file = on_meta(), model().state_dict()
    assert plan_load(net, file, assign=True).apply().fits
    assert all(torch.equal(file[key], leaf) for key, leaf in net.state_dict().items())


def test_leaves_without_memory_that_a_method_makes_anew_are_no_change() -> None:
    class Holder:
        def __init__(self) -> None:
            self.empty, self.full = np.zeros((0, 2)), np.zeros(2)

    @to_state_dict.register(Holder)
    def _pairs(obj: Holder, parent: Path) -> list[Pair]:
        return [([*parent, "empty"], obj.empty[:]), ([*parent, "full"], obj.full)]

    holder = Holder()
    assert plan_load(holder, {"empty": np.ones((0, 2)), "full": np.ones(2)}).apply().fits
    assert holder.full.all()
