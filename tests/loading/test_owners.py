"""What the owners of slots do around a load, where no adapter has a method for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import pytest

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.loading.report import LoadPlan
from caten_sd.objects.slots import buffer, slot_metadata


@attrs.define
class Masked:
    w: object
    mask: object = buffer(persistent=False, factory=lambda: np.ones(2))
    half: object = buffer(
        persistent=False, default=attrs.Factory(lambda self: self.w / 2, takes_self=True)
    )
    plain: object = buffer(persistent=False, default=None)


def test_a_buffer_is_rebuilt_from_the_factory_of_its_attrs_class() -> None:
    hooks = hooks_of(Masked(np.ones(2)))
    made = hooks.rebuild(root=None, names=["mask", "half", "plain", "other"])
    assert {name: value.tolist() for name, value in made.items()} == {
        "mask": [1, 1],
        "half": [0.5, 0.5],
    }


def test_a_buffer_with_a_declared_key_is_rebuilt_under_that_key() -> None:
    @attrs.define
    class Net:
        mask: object = buffer(persistent=False, key="a.b", factory=lambda: np.ones(2))

    @dataclasses.dataclass
    class Data:
        mask: object = dataclasses.field(
            default_factory=lambda: np.ones(2), metadata=slot_metadata(kind="computed", key="a.b")
        )
        plain: object = dataclasses.field(default=np.ones, metadata=slot_metadata(kind="computed"))

    for owner in (Net(), Data()):
        made = hooks_of(owner).rebuild(root=None, names=["a.b", "mask", "plain"])
        assert {name: value.tolist() for name, value in made.items()} == {"a.b": [1, 1]}


def test_other_objects_do_nothing() -> None:
    leaves = {"w": 1}
    hooks = hooks_of(leaves)
    assert (hooks.adapts, hooks.synthesizes, hooks.nested) == (False, False, ())
    assert hooks.synthesized(leaves=leaves, owners=[]) is None
    hooks.adapt(prefix="", leaves=leaves, source=None)
    assert leaves == {"w": 1}


class Listening(dict[str, object]):
    """A mapping that acts after a load."""

    heard: tuple[list[str], list[str]] | None = None
    fails = False


class ListeningHooks(OwnerHooks):
    def after_load(self, *, missing: list[str], unexpected: list[str]) -> None:
        self.owner.heard = missing, unexpected
        if self.owner.fails:
            raise ValueError("too late")


@hooks_of.register(Listening)
def _listening_hooks(owner: Listening, /) -> OwnerHooks:
    return ListeningHooks(owner)


def test_an_owner_is_given_the_keys_of_one_side_only() -> None:
    model = Listening(a=np.zeros(1), b=np.zeros(1))
    load_state_dict(model, {"a": np.ones(1), "c": np.ones(1)}, silent=True)
    assert model.heard == (["b"], ["c"])


def test_an_owner_that_fails_is_named() -> None:
    model = Listening(a=np.zeros(1))
    model.fails = True
    with pytest.raises(LoadError, match=r"Listening .*\(too late\)"):
        load_state_dict(model, {"a": np.ones(1)})
    assert model["a"].all()


class Outer:
    """An object whose model is not in a slot of its own."""

    def __init__(self) -> None:
        self.inner = {"w": np.zeros(2)}


class OuterHooks(OwnerHooks):
    def plan(
        self, state_dict: Mapping[str, Any], options: Mapping[str, Any], by_slot: Any
    ) -> LoadPlan:
        plan: LoadPlan = by_slot(self.owner.inner, state_dict, **options)
        return plan


@hooks_of.register(Outer)
def _outer_hooks(owner: Outer, /) -> OwnerHooks:
    return OuterHooks(owner)


def test_the_object_that_is_loaded_may_plan_its_own_load() -> None:
    outer = Outer()
    plan_load(outer, {"w": np.ones(2)}, allow_missing="x").apply()
    assert outer.inner["w"].tolist() == [1, 1]
