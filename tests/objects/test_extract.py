"""From an object to its state: containers of every kind, paths and keys."""

from __future__ import annotations

import dataclasses
import enum
import logging
import re
import threading
import types
from collections import ChainMap, OrderedDict, UserDict, defaultdict, deque, namedtuple
from functools import partial
from typing import Any, NamedTuple

import attrs
import numpy as np
import pytest
import torch

from caten_sd import (
    get_state_dict,
    to_state_dict,
)
from caten_sd.objects.slots import SLOT, buffer, transient

W = np.zeros(2)
T = torch.zeros(3)


@attrs.define
class Box:
    content: Any


@attrs.define
class Pair:
    first: Any
    second: Any = None


@dataclasses.dataclass
class Data:
    second: Any
    first: Any = None


class Point(NamedTuple):
    y: Any
    x: Any


Bare = namedtuple("Bare", ["b", "a"])


class Colour(str, enum.Enum):
    RED = "re-d"


def keys(obj: Any) -> list[str]:
    return list(get_state_dict(obj))


@pytest.mark.parametrize("leaf", [W, T, torch.nn.Parameter(T), np.float32(3) * W])
def test_a_leaf_is_its_own_pair_under_a_copy_of_its_parent(leaf: Any) -> None:
    parent = ["a", 0]
    ((path, found),) = to_state_dict(leaf, parent)
    assert (path, found is leaf) == (["a", 0], True)
    path.append("changed")
    assert parent == ["a", 0]


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (W, [""]),
        ([W, T], ["0", "1"]),
        ((W, [T, (W,)]), ["0", "1.0", "1.1.0"]),
        ([None, W, "text", 3, T], ["1", "4"]),
        ([Box(W), None, W, {"k": T}], ["0.content", "2", "3.k"]),
        ([[], [[]], [[W]]], ["2.0.0"]),
        (deque([W]), ["0"]),
        ({"b": W, "a": T}, ["b", "a"]),
        ({3: W, -1: T, "x-y": W}, ["3", "-1", "x-y"]),
        ({Colour.RED: W}, ["re-d"]),
        (OrderedDict(a=W), ["a"]),
        (defaultdict(list, a=[W]), ["a.0"]),
        (UserDict(a=W), ["a"]),
        (ChainMap({"a": W}), ["a"]),
        (types.MappingProxyType({"a": W}), ["a"]),
        ({(1, 2): "no leaf", None: 3, "w": W}, ["w"]),
        (Point(W, [T]), ["y", "x.0"]),
        (Bare(W, T), ["b", "a"]),
        (torch.Size([1, 2]), []),
        (Pair(W, T), ["first", "second"]),
        (Data(W, T), ["second", "first"]),
        (Box(Data(Point(W, Pair(T)))), ["content.second.y", "content.second.x.first"]),
        (Box({1, "a", None}), []),
        (Box(frozenset()), []),
    ],
)
def test_a_container_gives_its_leaves_in_order(obj: Any, expected: list[str]) -> None:
    assert keys(obj) == expected


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, 1j, "text", b"bytes", np.float32(1e-5), np.int64(3), np.bool_(True)],
)
def test_numbers_and_text_are_not_state(value: Any) -> None:
    assert keys(Box(value)) == []


@pytest.mark.parametrize(
    "value",
    [
        len,
        lambda x: x,
        partial(torch.softmax, dim=-1),
        torch.nn.functional.gelu,
        torch.float32,
        np.dtype("f4"),
        torch.device("cpu"),
        torch.finfo(torch.float32),
        torch.Generator(),
        torch.nn.Linear,
        torch.Tensor,
        logging.getLogger("a.b"),
        types.SimpleNamespace(name="config", sizes=[1, 2]),
        re.compile("x"),
        torch.nn.functional,
        threading.Lock(),
        range(3),
    ],
)
def test_functions_types_and_other_objects_without_leaves_are_not_state(value: Any) -> None:
    assert keys(Pair(value, W)) == ["second"]


def test_attrs_slots_come_in_declaration_order_those_of_bases_first() -> None:
    @attrs.define
    class Base:
        z: Any
        shared: Any

    @attrs.define
    class Left(Base):
        a: Any

    @attrs.define
    class Derived(Left):
        y: Any
        shared: Any

    assert keys(Derived(z=W, a=W, y=W, shared=W)) == ["z", "shared", "a", "y"]


@pytest.mark.parametrize("options", [{"frozen": True}, {"slots": False}, {"kw_only": True}])
def test_attrs_classes_of_every_kind_have_state(options: dict[str, Any]) -> None:
    cls = attrs.make_class("Made", ["_private", "w"], **options)
    assert keys(cls(private=W, w=T)) == ["_private", "w"]


def test_a_slot_that_was_never_set_is_not_state() -> None:
    @attrs.define
    class Lazy:
        w: Any
        cache: Any = attrs.field(init=False)

    @dataclasses.dataclass
    class LazyData:
        w: Any
        cache: Any = dataclasses.field(init=False)

    assert keys(Lazy(W)) == keys(LazyData(W)) == ["w"]


def test_a_slot_is_declared_state_buffer_or_transient() -> None:
    @attrs.define
    class Attention:
        w: Any
        mask: Any = buffer(default=None)
        positions: Any = buffer(persistent=False, default=None)
        cache: Any = transient(default=None)

    @dataclasses.dataclass
    class DataAttention:
        w: Any
        cache: Any = dataclasses.field(default=None, metadata={SLOT: "cache"})

    assert keys(Attention(W, W, W, W)) == ["w", "mask"]
    assert keys(DataAttention(W, W)) == ["w"]


def test_declared_slots_are_the_state_of_a_class_that_is_a_mapping_or_a_list_too() -> None:
    @attrs.define
    class Weighted(UserDict):  # type: ignore[type-arg]
        w: Any

    @dataclasses.dataclass
    class Output(OrderedDict):  # type: ignore[type-arg]
        logits: Any

    assert keys(Weighted(W)) == ["w"]
    assert keys(Output(W)) == ["logits"]


@pytest.mark.parametrize("parent", [[], ["p", 1], (), ("p", 1)])
@pytest.mark.parametrize(
    "obj",
    [
        *(W, T, [W], {"k": W}, Box(W), Data(W), Point(W, W)),
        *(torch.nn.Linear(1, 1), torch.nn.Sequential(torch.nn.LazyLinear(1))),
    ],
)
def test_a_parent_may_be_a_list_or_a_tuple_and_paths_are_lists(obj: Any, parent: Any) -> None:
    pairs = to_state_dict(obj, parent)
    assert pairs
    for path, _ in pairs:
        assert type(path) is list
        assert path[: len(parent)] == list(parent)
    assert [path[len(parent) :] for path, _ in pairs] == [p for p, _ in to_state_dict(obj, [])]


def test_a_shared_object_is_listed_under_each_path_and_tied() -> None:
    shared = Box(W)
    state = get_state_dict([shared, {"again": shared}, W])
    assert list(state) == ["0.content", "1.again.content", "2"]
    assert state.ties == {"1.again.content": "0.content", "2": "0.content"}


def test_the_callers_key_mapper_makes_the_keys() -> None:
    state = get_state_dict([Box(W)], key_mapper=lambda path: "/".join(map(str, path)))
    assert list(state) == ["0/content"]
    assert state.paths == {"0/content": [0, "content"]}


def test_a_method_may_be_a_generator() -> None:
    class Taught:
        pass

    @to_state_dict.register(Taught)
    def pairs(obj: Taught, parent: list[Any], /) -> Any:
        yield [*parent, "w"], np.zeros(1)

    assert list(get_state_dict(Taught())) == ["w"]
    assert list(get_state_dict([Taught()])) == ["0.w"]
