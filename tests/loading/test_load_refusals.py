"""Leaves, places and keys that cannot be loaded are named, and nothing is changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError, StateDictError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

from .test_load import file_of_net, frozen, net, outcomes


def test_a_leaf_that_cannot_be_read_half_way_leaves_everything_as_it_was() -> None:
    model = net()
    before = frozen(model)
    file = file_of_net()
    source = Source("w.bin", BytesBacking(b"\0" * 8), 0, 8)  # 32 bytes are wanted
    file["last.weight"] = LazyTensor(source, 0, DTYPES["float32"], (4, 2))
    for mode in ({}, {"silent": True}, {"strict": True}, {"assign": True}):
        with pytest.raises(LoadError, match=r"last\.weight.*nothing was changed"):
            load_state_dict(model, file, **mode)
    assert frozen(model) == before


def test_a_tensor_without_data_is_refused_before_anything_is_changed() -> None:
    model = net()
    before = frozen(model)
    file = {**file_of_net(), "last.weight": torch.zeros(4, 2, device="meta")}
    with pytest.raises(LoadError, match=r"(?s)last\.weight.*nothing was changed"):
        load_state_dict(model, file)
    assert frozen(model) == before


def test_a_read_only_place_of_an_owner_that_cannot_change_is_named() -> None:
    array = np.zeros(2)
    array.flags.writeable = False
    model = {"a": np.zeros(2), "b": (array,)}
    with pytest.raises(LoadError, match=r"b\.0: a tuple takes no new object .*with_state"):
        load_state_dict(model, {"a": np.ones(2), "b.0": np.ones(2)}, silent=True)
    assert not model["a"].any()


def _inference_tensor() -> torch.Tensor:
    with torch.inference_mode():
        return torch.zeros(2)


@pytest.mark.parametrize("make", [lambda: torch.zeros(1).expand(2), _inference_tensor])
def test_a_tensor_that_cannot_be_written_is_replaced_or_named(make: object) -> None:
    model, fixed = {"b": make()}, {"b": (make(),)}
    old = model["b"]
    plan = plan_load(model, {"b": torch.arange(2.0)})
    assert plan.rows[0].note.startswith("a new object")
    plan.apply()
    assert model["b"].tolist() == [0, 1]
    assert old.tolist() == [0, 0]
    with pytest.raises(LoadError, match=r"  b\.0: a tuple takes no new object"):
        load_state_dict(fixed, {"b.0": torch.arange(2.0)})


@pytest.mark.parametrize("wrong", [None, 3, [("weight", 1)], "weight", nn.Linear(1, 1)])
def test_what_is_not_a_mapping_is_refused_with_its_type(wrong: object) -> None:
    with pytest.raises(StateDictError, match=type(wrong).__name__):
        load_state_dict(net(), wrong)


def test_keys_that_are_not_text_are_refused_by_name() -> None:
    with pytest.raises(StateDictError, match="the key 3 is"):
        plan_load(net(), {3: torch.zeros(1)})


@pytest.mark.parametrize("value", [None, "text", 3.5, [1, 2], object()])
def test_a_value_that_is_not_a_tensor_is_not_put_into_a_slot(value: object) -> None:
    model = net()
    plan = plan_load(model, {**file_of_net(), "first.bias": value})
    assert outcomes(plan)["first.bias"] is Outcome.UNREAD
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(model, {**file_of_net(), "first.bias": value}, strict=True)
