"""How plan_load is called, and that the type of the object chooses who plans."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.plan_of import plan_of
from caten_sd.loading.report import LoadPlan

MODEL, FILE = {"w": torch.zeros(2)}, {"w": torch.ones(2)}


def test_object_and_state_dict_may_be_keywords() -> None:
    assert plan_load(obj=MODEL, state_dict=FILE).fits
    assert plan_load(MODEL, state_dict=FILE).fits


def test_a_third_positional_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="plan_load"):
        plan_load(MODEL, FILE, True)


def test_missing_arguments_and_unknown_options_are_named() -> None:
    with pytest.raises(TypeError, match="state_dict"):
        plan_load(MODEL)
    with pytest.raises(TypeError, match="assing"):
        plan_load(MODEL, FILE, assing=True)


def test_the_options_of_the_verbs_are_the_same() -> None:
    load = {**inspect.signature(load_state_dict).parameters}
    plan = inspect.signature(plan_load).parameters
    assert {load.pop("silent").default, load.pop("strict").default} == {False}
    assert list(load)[2:] == list(plan)[2:]
    assert list(load.values())[2:] == list(plan.values())[2:]


class Outer:
    """An object whose model is not in a slot of its own."""

    def __init__(self) -> None:
        self.inner = {"w": torch.zeros(2)}


@plan_of.register(Outer)
def _inner_plan(
    obj: Outer, /, *, state_dict: Mapping[str, Any], options: Mapping[str, Any], by_slot: Any
) -> LoadPlan:
    return by_slot(obj.inner, state_dict, **options)


def test_a_method_of_plan_of_plans_for_its_type() -> None:
    outer = Outer()
    plan_load(outer, {"w": torch.ones(2)}, allow_missing="x").apply()
    assert outer.inner["w"].tolist() == [1, 1]
