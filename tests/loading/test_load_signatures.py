"""How the verbs of a load are called: they bind their arguments as Python does."""

from __future__ import annotations

import inspect

import pytest
import torch

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.with_state import with_state

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
    anew = inspect.signature(with_state).parameters
    assert (
        list(anew.values())[2:] == list(inspect.signature(load_state_dict).parameters.values())[2:]
    )
