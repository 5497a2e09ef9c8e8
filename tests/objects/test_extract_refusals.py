"""What an extraction refuses: cycles, collisions, and classes whose state would be lost."""

from __future__ import annotations

import gc
import threading
from collections import UserList
from collections.abc import Iterator, MutableMapping
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from caten_sd import CatenError, StateDictError, get_state_dict, to_state_dict
from caten_sd.errors import NoApplicableMethodError

W = np.zeros(2)
T = torch.zeros(3)


@attrs.define
class Box:
    content: Any


@attrs.define
class Pair:
    first: Any
    second: Any = None


def keys(obj: Any) -> list[str]:
    return list(get_state_dict(obj))


def test_a_container_that_holds_itself_is_an_error_that_names_the_path() -> None:
    in_list: list[Any] = [W]
    in_list.append({"back": in_list})
    box = Box(None)
    box.content = Pair(W, [Box(box)])
    mapping: dict[str, Any] = {"w": W}
    mapping["deep"] = {"er": mapping}
    for obj, where in (
        (in_list, "'1.back' is the root again: a list"),
        (box, r"'content.second.0.content' is the root again: a Box"),
        (Box(mapping), "'content.deep.er' is 'content' again: a dict"),
    ):
        with pytest.raises(StateDictError, match=f"{where} that holds itself"):
            get_state_dict(obj)
    assert keys(Pair(W, W)) == ["first", "second"]  # the walk has forgotten the cycles


def test_deep_nesting_is_followed_and_too_deep_nesting_is_an_error() -> None:
    deep: Any = W
    for _ in range(210):
        deep = [deep]
    assert keys(deep) == [".".join(["0"] * 210)]
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(StateDictError, match="nested too deep"):
        get_state_dict(deep)
    assert keys([W]) == ["0"]


@pytest.mark.parametrize(
    ("obj", "key", "one", "other"),
    [
        ({"mlp.0": W, "mlp": [T]}, "mlp.0", "['mlp.0']", "['mlp', 0]"),
        ({"1": W, 1: T}, "1", "['1']", "[1]"),
        ([Pair(W, {"a.b": W, "a": {"b": T}})], "0.second.a.b", "'a.b'", "'a', 'b'"),
    ],
)
def test_two_paths_with_one_key_are_an_error_that_names_both(
    obj: Any, key: str, one: str, other: str
) -> None:
    with pytest.raises(StateDictError) as caught:
        get_state_dict(obj)
    assert all(part in str(caught.value) for part in (repr(key), one, other))


def test_lisp_slots_that_differ_in_hyphens_only_collide() -> None:
    class Symbols:
        pass

    @to_state_dict.register(Symbols)
    def symbol_pairs(obj: Symbols, parent: Any, /) -> Any:
        return [([*parent, "ln-1"], W), ([*parent, "ln_1"], T)]

    with pytest.raises(StateDictError, match=r"\['ln-1'\] and \['ln_1'\] of Symbols both have"):
        get_state_dict(Symbols())
    apart = get_state_dict(Symbols(), key_mapper=lambda path: "/".join(map(str, path)))
    assert list(apart) == ["ln-1", "ln_1"]


class Plain:
    def __init__(self, **slots: Any) -> None:
        vars(self).update(slots)


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ("model.safetensors", r"a str has no slots .*; read_state_dict\(path\) reads a file"),
        (Box, r"a type has no slots .*; make an instance, Box\(\.\.\.\)"),
        (None, "a NoneType has no slots .*; pass a model"),
        (Plain(), r"a Plain has no slots .*@to_state_dict\.register\(Plain\)"),
        (Plain(w=W), r"'w' is in the root, a Plain, .*register\(Plain\)"),
        (Box(Plain(w=W)), "'content.w' is in 'content', a Plain, .* transient"),
        (Box(Plain(layers=[Box(W)])), "'content.layers.0.content' is in 'content', a Plain"),
        (Box(Plain(fc=torch.nn.Linear(1, 1))), "'content.fc.weight' is in 'content'"),
        (Box(UserList([W])), "'content.data.0' is in 'content', a UserList"),
        (Box(Plain(shape=(1,), dtype="f4")), "'content', a Plain, looks like a tensor"),
        ({(1, 2): W}, r"the root holds a leaf under the key \(1, 2\); .* strings or integers"),
        (Box({2.5: [W]}), "'content' holds a leaf under the key 2.5"),
        (Box({T}), "'content' is a set of leaves, which has no order; use a list"),
    ],
)
def test_what_would_be_lost_silently_is_refused(obj: Any, message: str) -> None:
    with pytest.raises(CatenError, match=message):
        get_state_dict(obj)


def test_an_object_of_an_unknown_class_may_point_back_to_the_model() -> None:
    trainer = Plain(log=[], lock=threading.Lock())
    model = Pair(W, Box(trainer))
    trainer.settings = Plain(parent=trainer)
    assert keys(model) == ["first"]


def test_a_model_without_state_has_an_empty_state_dict() -> None:
    for obj in ([], {}, Box(None), torch.nn.ReLU()):
        assert dict(get_state_dict(obj)) == {}


def test_a_method_of_the_user_applies_inside_every_container() -> None:
    class Mine(Plain):
        pass

    @to_state_dict.register(Mine)
    def mine_pairs(obj: Mine, parent: Any, /) -> Any:
        return to_state_dict(obj.inner, parent)  # adds no segment of its own

    assert keys([Mine(inner=Box(W)), {"k": Mine(inner=None)}]) == ["0.content"]
    assert keys(Mine(inner=Box(W))) == ["content"]
    assert keys(Mine(inner=None)) == []


def test_endless_recursion_of_a_method_is_a_state_dict_error() -> None:
    class Endless(Plain):
        pass

    @to_state_dict.register(Endless)
    def endless_pairs(obj: Endless, parent: Any, /) -> Any:
        return to_state_dict([Endless()], [*parent, "again"])

    with pytest.raises(StateDictError, match="nested too deep"):
        get_state_dict(Endless())


def test_two_threads_walk_one_object_at_once() -> None:
    shared = [Box(W) for _ in range(300)]
    failures: list[Exception] = []

    def walk() -> None:
        try:
            for _ in range(20):
                assert len(get_state_dict(shared)) == 300
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=walk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert gc.isenabled()


def test_a_root_of_an_unknown_class_is_an_error() -> None:
    with pytest.raises(NoApplicableMethodError):
        get_state_dict(object())


class Variable:
    """A value in a slot, as in flax.nnx.Param; ``__dict__`` does not show it."""

    __slots__ = ("__private", "never_set", "raw_value")

    def __init__(self, value: Any) -> None:
        self.raw_value = value

    def hide(self) -> Variable:
        self.__private, self.raw_value = self.raw_value, None
        return self


class State(MutableMapping[str, Any]):
    """A mapping that is not a dict, like flax.nnx.State."""

    def __init__(self, items: dict[str, Any]) -> None:
        self._mapping = items

    def __getitem__(self, key: str) -> Any:
        return self._mapping[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._mapping[key] = value

    def __delitem__(self, key: str) -> None:
        del self._mapping[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(self._mapping)


@pytest.mark.parametrize(
    "obj",
    [
        State({"bias": Variable(T)}),
        State({"layers": State({"0": Variable(W)})}),
        {"w": Variable(T).hide()},
        [T, Variable([T])],
    ],
)
def test_a_tensor_in_a_slot_of_an_unknown_class_is_not_left_out(obj: Any) -> None:
    with pytest.raises(NoApplicableMethodError, match="Variable"):
        get_state_dict(obj)


def test_slots_without_tensors_are_not_state() -> None:
    assert not get_state_dict(State({"step": Variable(3), "name": Variable("x")}))
