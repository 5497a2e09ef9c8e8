"""Owners: their slots by name, value and kind, and what a slot takes."""

from __future__ import annotations

import collections
import dataclasses
import types
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.objects.owner import cannot_put, put, slots_of, unwrap
from caten_sd.objects.slots import buffer, transient


@attrs.define
class Box:
    inside: Any
    mask: Any = buffer(default=1)
    table: Any = buffer(persistent=False, default=2)
    cache: Any = transient(default=3)
    unset: Any = attrs.field(init=False)


@attrs.frozen
class Frozen:
    inside: Any


@dataclasses.dataclass
class Data:
    inside: Any


@dataclasses.dataclass(frozen=True)
class FrozenData:
    inside: Any


Pair = collections.namedtuple("Pair", "first second")


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.keys = nn.Linear(1, 1)  # a child with the name of a method of its owner
        self.w = nn.Parameter(torch.zeros(1))
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("computed", torch.zeros(1), persistent=False)


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (
            Box(0),
            [("inside", "state"), ("mask", "buffer"), ("table", "computed"), ("cache", "cache")],
        ),
        (Data(0), [("inside", "state")]),
        (Pair(1, 2), [("first", "state"), ("second", "state")]),
        ((7,), [(0, "state")]),
        (collections.deque([7]), [(0, "state")]),
        ({"a-b": 1, 3: 2}, [("a-b", "state"), (3, "state")]),
        (
            Module(),
            [("w", "state"), ("kept", "buffer"), ("computed", "computed"), ("keys", "state")],
        ),
    ],
)
def test_slots(owner: Any, expected: list[tuple[Any, str]]) -> None:
    slots = list(slots_of(owner) or ())
    assert [(name, kind) for name, _, kind in slots] == expected


@pytest.mark.parametrize("other", [1, "text", None, np.zeros(1), torch.zeros(1), object(), {1}])
def test_other_objects_are_not_owners(other: object) -> None:
    assert slots_of(other) is None
    assert unwrap(other) is other


@pytest.mark.parametrize(
    "owner",
    [Box(0), Data(0), [0], {"a": 0}, collections.deque([0]), nn.ModuleList([nn.Linear(1, 1)])],
)
def test_a_slot_takes_a_new_object(owner: Any) -> None:
    name, old, _ = next(iter(slots_of(owner) or ()))
    assert cannot_put(owner, name, old) == ""
    new = nn.Linear(1, 1)
    put(owner, name, new)
    assert next(iter(slots_of(owner) or ()))[1] is new


@pytest.mark.parametrize("owner", [Frozen(0), FrozenData(0), (0,), Pair(0, 1)])
def test_an_owner_that_cannot_change_says_why(owner: Any) -> None:
    name, old, _ = next(iter(slots_of(owner) or ()))
    assert cannot_put(owner, name, old)
    with pytest.raises((AttributeError, TypeError)):
        put(owner, name, 5)
    assert next(iter(slots_of(owner) or ()))[1] is old


def test_one_slot_of_an_owner_may_be_fixed() -> None:
    @attrs.define
    class Partly:
        open: Any
        fixed: Any = attrs.field(on_setattr=attrs.setters.frozen)

    assert cannot_put(Partly(1, 2), "open", 1) == ""
    assert cannot_put(Partly(1, 2), "fixed", 2)


def doubled(instance: Any, attribute: Any, value: Any) -> Any:
    return value * 2


@attrs.define(on_setattr=doubled)
class Doubling:
    inside: Any


@attrs.define
class Copying:
    inside: Any = attrs.field(converter=np.array)


class DoublingList(list):
    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(at, value * 2)


class DeafDict(dict):
    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class DoublingModule(nn.Module):
    def __setattr__(self, name: str, value: Any) -> None:
        new = nn.Parameter(value.detach() * 2) if isinstance(value, nn.Parameter) else value
        super().__setattr__(name, new)


def doubling_module() -> nn.Module:
    module = DoublingModule()
    module._parameters["inside"] = nn.Parameter(torch.ones(2))
    return module


@pytest.mark.parametrize(("owner", "name"), [
    (Doubling(np.ones(2)), "inside"),
    (DoublingList([np.ones(2)]), 0),
    (DeafDict(inside=np.ones(2)), "inside"),
    (doubling_module(), "inside"),
], ids=["attrs", "list", "dict", "module"])  # fmt: skip
def test_an_owner_that_keeps_another_value_refuses_it_and_keeps_the_old_one(
    owner: Any, name: Any
) -> None:
    ((_, old, _),) = slots_of(owner)
    new = nn.Parameter(torch.full((2,), 3.0)) if isinstance(old, nn.Parameter) else np.full(2, 3.0)
    with pytest.raises(TypeError, match=type(owner).__name__):
        put(owner, name, new)
    ((_, now, _),) = slots_of(owner)
    assert now is old


def test_an_owner_may_keep_a_copy_of_a_value() -> None:
    owner = Copying(np.ones(2))
    put(owner, "inside", np.full(2, 3.0))
    assert owner.inside.tolist() == [3, 3]
    assert not cannot_put(owner, "inside", owner.inside)


@pytest.mark.parametrize(("owner", "name"), [
    (Doubling(np.ones(2)), "inside"),
    ((np.ones(2),), 0),
    (types.MappingProxyType({"inside": np.ones(2)}), "inside"),
], ids=["attrs", "tuple", "proxy"])  # fmt: skip
def test_what_no_put_can_fill_is_known_before(owner: Any, name: Any) -> None:
    ((_, old, _),) = slots_of(owner)
    assert type(owner).__name__ in cannot_put(owner, name, old)
