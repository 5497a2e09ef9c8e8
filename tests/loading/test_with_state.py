"""A load into a new object: what cannot be changed in place, and laws that hold for all."""

from __future__ import annotations

import collections
import dataclasses
import types
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import LoadError, LoadWarning
from caten_sd.loading.load import load_state_dict
from caten_sd.loading.with_state import with_state
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.compare import same_values
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.training.training_state import TrainingState
from tests.properties import examples


@attrs.frozen
class Frozen:
    weight: Any
    bias: Any
    name: str = "frozen"


@attrs.frozen(slots=False)
class FrozenDict:
    weight: Any


@dataclasses.dataclass(frozen=True)
class FrozenData:
    weight: Any


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlots:
    weight: Any


class Point(collections.namedtuple("Point", "weight bias")):
    __slots__ = ()


def read_only(*shape: int) -> np.ndarray:
    array = np.zeros(shape, np.float32)
    array.flags.writeable = False
    return array


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2), nn.LSTM(2, 2))


MODELS: dict[str, Callable[[], Any]] = {
    "frozen attrs": lambda: Frozen(torch.zeros(2), np.zeros(3, np.float32)),
    "frozen attrs with a dict": lambda: FrozenDict(read_only(2)),
    "frozen dataclass": lambda: FrozenData([read_only(2), torch.zeros(1)]),
    "frozen dataclass with slots": lambda: FrozenSlots(torch.zeros(2)),
    "tuple": lambda: (torch.zeros(2), (read_only(1), {"a": np.zeros(2)})),
    "named tuple": lambda: Point(read_only(2), [torch.zeros(3)]),
    "array": lambda: read_only(4),
    "tensor": lambda: torch.zeros(3),
    "module": conv,
    "meta module": lambda: nn.Linear(2, 2, device="meta"),
    "list": lambda: [np.zeros(2), torch.zeros(1).expand(3)],
}


def values(state: Any) -> dict[str, bytes]:
    return {key: as_array(Numpy(), leaf).tobytes() for key, leaf in state.items()}


def file_for(model: Any, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        key: random.integers(1, 9, tuple(leaf.shape)).astype(np.float32)
        if "num_batches" not in key
        else np.asarray(5)
        for key, leaf in get_state_dict(model).items()
    }


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_a_new_object_of_the_same_type_has_the_state(kind: str, assign: bool) -> None:
    old = MODELS[kind]()
    has_values = kind != "meta module"
    before = values(get_state_dict(old)) if has_values else {}
    file = file_for(old)
    new = with_state(old, file, strict=True, assign=assign)
    assert type(new) is type(old)
    assert new is not old
    assert list(get_state_dict(new)) == list(get_state_dict(old))
    for key, leaf in get_state_dict(new).items():
        assert same_values(leaf, file[key])
        assert type(leaf) is type(get_state_dict(old)[key])
    if has_values:
        assert values(get_state_dict(old)) == before


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"meta module"}))
def test_the_new_object_shares_no_array_with_the_old_one_or_the_file(kind: str) -> None:
    old = MODELS[kind]()
    file = file_for(old)
    kept = values(get_state_dict(old)), values(file)
    new = with_state(old, file)
    for leaf in get_state_dict(new).values():
        if isinstance(leaf, torch.Tensor):
            leaf.detach().fill_(77)
        else:
            leaf.flags.writeable = True
            leaf[...] = 77
    assert (values(get_state_dict(old)), values(file)) == kept


def test_what_is_missing_is_a_copy_of_the_old_value() -> None:
    old = Frozen(np.full(2, 3.0), np.zeros(3))
    with pytest.warns(LoadWarning, match="not in the file"):
        new = with_state(old, {"bias": np.ones(3)})
    new.weight[:] = 9
    assert old.weight.tolist() == [3, 3]
    assert (new.bias.tolist(), new.name) == ([1, 1, 1], "frozen")


@pytest.mark.parametrize("make", [lambda t: (t, [t]), lambda t: Point(t, {"a": t})])
def test_ties_hold_in_the_new_object(make: Callable[[Any], Any]) -> None:
    old = make(torch.zeros(2))
    first, second = get_state_dict(old)
    new = with_state(old, {first: torch.ones(2), second: torch.ones(2)})
    one, other = get_state_dict(new).values()
    assert one.data_ptr() == other.data_ptr()
    assert one.tolist() == [1, 1]


def test_the_rules_are_those_of_a_load() -> None:
    old = Frozen(np.zeros(2), np.zeros(3))
    with pytest.raises(LoadError, match="nothing was changed"):
        with_state(old, {"weight": np.ones(5), "bias": np.ones(3)}, strict=True)
    with pytest.raises(LoadError, match="nothing would be loaded"):
        with_state(old, {"other": np.ones(2)})
    new = with_state(old, {"weight": np.ones(2), "bias": np.ones(3)}, dtype="float16")
    assert new.weight.dtype == np.float16


def test_a_load_in_place_names_it() -> None:
    old = Frozen(read_only(2), read_only(3))
    with pytest.raises(LoadError, match=r"a Frozen takes no new object .*with_state\("):
        load_state_dict(old, {"weight": np.ones(2), "bias": np.ones(3)})


class Scaled:
    """Its state is a view of its memory, which no slot holds."""

    def __init__(self) -> None:
        self.memory = np.zeros((2, 3))


@to_state_dict.register(Scaled)
def _scaled(obj: Scaled, parent: list[Any]) -> list[Any]:
    return [([*parent, "turned"], obj.memory.T)]


def test_a_view_that_a_method_makes_is_copied_into() -> None:
    old = (Scaled(),)
    file = {"0.turned": np.arange(6.0).reshape(3, 2)}
    (new,) = with_state(old, file, strict=True)
    assert new.memory.tolist() == file["0.turned"].T.tolist()
    assert not old[0].memory.any()


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))
        self.count = [0]

    def get_extra_state(self) -> list[int]:
        return self.count

    def set_extra_state(self, state: list[int]) -> None:
        self.count = state


def test_extra_state_goes_into_the_new_module_only() -> None:
    old = Counting()
    new = with_state(old, {"w": torch.ones(1), "_extra_state": [5]}, strict=True)
    assert (old.count, new.count) == ([0], [5])


class Locked:
    def __init__(self) -> None:
        self.w = np.zeros(1)

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("it is locked")


@to_state_dict.register(Locked)
def _locked(obj: Locked, parent: list[Any]) -> list[Any]:
    return [([*parent, "w"], obj.w)]


def test_what_cannot_be_copied_is_named() -> None:
    with pytest.raises(LoadError, match=r"list cannot be copied \(TypeError: it is locked\)"):
        with_state([Locked()], {"0.w": np.ones(1)})


@settings(max_examples=examples(60))
@given(st.recursive(
    st.sampled_from(["array", "read-only", "tensor", "scalar"]),
    lambda below: st.one_of(
        st.lists(below, min_size=1, max_size=3),
        st.tuples(below, below),
        st.dictionaries(st.sampled_from(["a", "b-c"]), below, min_size=1),
        st.builds(FrozenData, below),
        st.builds(Point, below, below),
    ),
    max_leaves=8,
), st.booleans())  # fmt: skip
def test_any_nesting_takes_its_state_anew(tree: Any, assign: bool) -> None:
    makers = {
        "array": lambda: np.zeros(2, np.float32),
        "read-only": lambda: read_only(3),
        "tensor": lambda: torch.zeros(2, 1),
        "scalar": lambda: np.zeros((), np.float32),
    }

    def made(node: Any) -> Any:
        if isinstance(node, str):
            return makers[node]()
        if isinstance(node, FrozenData):
            return FrozenData(made(node.weight))
        if isinstance(node, Point):
            return Point(*map(made, node))
        if isinstance(node, dict):
            return {key: made(child) for key, child in node.items()}
        return type(node)(map(made, node))

    old = made(tree)
    file = file_for(old)
    before = values(get_state_dict(old))
    new = with_state(old, file, strict=True, assign=assign)
    assert values(get_state_dict(new)) == values(file)
    assert values(get_state_dict(old)) == before


class Itself(list):
    def __deepcopy__(self, memo: Any) -> Any:
        return self


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("given", [["0.0", "1"], ["1"]])
def test_a_copy_that_is_the_old_object_is_refused(assign: bool, given: list[str]) -> None:
    old = [Itself([np.zeros(2)]), np.zeros(2)]
    with pytest.raises(LoadError, match=r"0\.0 of list.*nothing was changed.*__deepcopy__"):
        with_state(old, {key: np.ones(2) for key in given}, silent=True, assign=assign)
    assert not old[0][0].any()
    assert not old[1].any()


def test_a_read_only_view_of_a_dict_is_made_anew() -> None:
    shared = types.MappingProxyType({"w": np.zeros(2)})
    old = {"a": shared, "b": types.MappingProxyType({"deep": (shared,)})}
    new = with_state(old, {"a.w": np.ones(2)}, strict=True)
    assert type(new["a"]) is types.MappingProxyType
    assert new["b"]["deep"][0] is new["a"]
    assert new["a"]["w"].tolist() == [1, 1]
    assert not old["a"]["w"].any()


def test_a_training_is_loaded_in_place() -> None:
    model = nn.Linear(1, 1)
    training = TrainingState(model, torch.optim.SGD(model.parameters()))
    with pytest.raises(LoadError, match=r"TrainingState.*nothing was changed.*load_state_dict\("):
        with_state(training, get_state_dict(training))


class SharedByCopies(np.ndarray):
    """An array of which a deepcopy is a view, as it is of a tensor of tinygrad."""

    def __deepcopy__(self, memo: Any) -> SharedByCopies:
        return self.view()


def test_what_is_not_loaded_is_copied_also_where_a_deepcopy_shares_it() -> None:
    old = {key: np.zeros(2, "f4").view(SharedByCopies) for key in "ab"}
    new = with_state(old, {"a": np.ones(2, "f4")}, silent=True)
    assert (new["a"].tolist(), new["b"].tolist()) == ([1, 1], [0, 0])
    assert type(new["b"]) is SharedByCopies
    new["b"] += 5
    assert old["b"].tolist() == [0, 0]
