"""Types that a method of to_state_dict alone teaches: every option of a load works for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.with_state import with_state
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.compare import same_values


@attrs.define
class Quantized:
    """README's: the slots are not named as the keys are."""

    values: torch.Tensor
    scale: torch.Tensor


@to_state_dict.register(Quantized)
def _quantized(obj: Quantized, parent: list[Any]) -> list[Any]:
    return [([*parent, "qweight"], obj.values), ([*parent, "qscale"], obj.scale)]


class Plain:
    """A class of its own, whose attributes only the method knows."""

    def __init__(self, values: Any, scale: Any) -> None:
        self.held = {"values": values}
        self.scale = scale


@to_state_dict.register(Plain)
def _plain(obj: Plain, parent: list[Any]) -> list[Any]:
    return [([*parent, "qweight"], obj.held["values"]), ([*parent, "qscale"], obj.scale)]


class View(Plain):
    """Its leaf is a view that lies the other way round."""


@to_state_dict.register(View)
def _view(obj: View, parent: list[Any]) -> list[Any]:
    return [([*parent, "qweight"], obj.held["values"].T), ([*parent, "qscale"], obj.scale)]


@attrs.frozen
class FrozenQuantized(Quantized):
    """The same, frozen."""


def leaves(like: str) -> tuple[Any, Any]:
    if like == "torch":
        return torch.zeros(4, 4, dtype=torch.int8), torch.zeros(4)
    return np.zeros((4, 4), np.int8), np.zeros(4, np.float32)


@attrs.define
class Head:
    weight: Any
    bias: Any


FILE = {
    "weight.qweight": np.arange(16, dtype=np.int8).reshape(4, 4),
    "weight.qscale": np.arange(4, dtype=np.float32) + 0.5,
    "bias": np.ones(2, np.float32),
}


@pytest.mark.parametrize("like", ["torch", "numpy"])
@pytest.mark.parametrize("taught", [Quantized, Plain, View])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"assign": True},
        {"dtype": "float16"},
        {"dtype": {"*.qscale": "float64"}},
        {"map_location": "cpu"},
        {"assign": True, "map_location": "cpu"},
    ],
)
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
def test_every_option_works(
    taught: Callable[..., Any], like: str, options: dict[str, Any], verb: Callable[..., Any]
) -> None:
    head = Head(taught(*leaves(like)), np.zeros(2, np.float32))
    loaded = verb(head, FILE, strict=True, **options)
    state = get_state_dict(loaded)
    assert list(state) == list(FILE)
    assert all(same_values(FILE[key], state[key]) for key in FILE)
    assert (loaded is head) is (verb is load_state_dict)


@pytest.mark.parametrize("taught", [Quantized, Plain])
def test_assign_adopts_what_a_slot_holds_under_any_name(taught: Callable[..., Any]) -> None:
    head = Head(taught(*leaves("torch")), torch.zeros(2))
    file = {key: torch.from_numpy(value) for key, value in FILE.items()}
    load_state_dict(head, file, strict=True, assign=True)
    assert get_state_dict(head)["weight.qscale"] is file["weight.qscale"]


def test_what_nothing_holds_is_copied_and_the_plan_says_so() -> None:
    head = Head(View(*leaves("torch")), torch.zeros(2))
    rows = {row.key: row for row in plan_load(head, FILE, assign=True).rows}
    assert "copied" in rows["weight.qweight"].note
    assert "copied" not in rows["weight.qscale"].note


def test_a_frozen_one_is_refused_by_the_plan_and_loaded_anew() -> None:
    head = Head(FrozenQuantized(*leaves("torch")), torch.zeros(2))
    plan = plan_load(head, FILE, assign=True)
    assert {row.key for row in plan.rows if "with_state" in row.note} == {
        "weight.qweight",
        "weight.qscale",
    }
    assert plan_load(head, FILE).fits  # its tensors can be written into
    new = with_state(head, FILE, strict=True, assign=True)
    assert new.weight.scale.tolist() == FILE["weight.qscale"].tolist()
    assert not head.weight.scale.any()
