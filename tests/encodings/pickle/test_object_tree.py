from __future__ import annotations

import argparse
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.encodings.pickle.inert_values import Instance, Ordered
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.encodings.pickle.object_tree import ObjectTree
from caten_sd.state.leaf import Opaque
from caten_sd.state.tree import flatten
from tests.properties import examples

from .absent import Absent, AbsentDict, AbsentList, Reduced, SetByFunction, Slotted

ABSENT = Absent.__module__


def tree(value: Any) -> Any:
    return ObjectTree(value).tree()


def read(value: Any, protocol: int = 4) -> Any:
    """Read a pickle in a world in which the module of its classes was never there."""
    data = pickle.dumps(value, protocol).replace(ABSENT.encode(), b"x" * len(ABSENT))
    return tree(unpickle(data, source_name="a.pkl").value)


def leaves(value: Any, protocol: int = 4) -> dict[str, Any]:
    return {key: leaf.numpy() for key, leaf in flatten(read(value, protocol), "").leaves.items()}


def numbers(found: dict[str, Any]) -> dict[str, int]:
    return {key: int(array) for key, array in found.items()}


ONE, TWO, THREE = np.array(1), np.array(2), np.array(3)


@pytest.mark.parametrize("protocol", range(6))
def test_parts_of_objects_of_absent_classes_come_out_by_name(protocol: int) -> None:
    assert numbers(leaves(Absent(model=ONE, note="x"), protocol)) == {"model": 1}
    assert numbers(leaves({"o": Absent(a=[ONE, Absent(b=TWO)])}, protocol)) == {
        "o.a.0": 1,
        "o.a.1.b": 2,
    }
    assert numbers(leaves({"o": Reduced(ONE, TWO)}, protocol)) == {"o.0": 1, "o.1": 2}
    assert numbers(leaves(AbsentDict({"k": ONE}), protocol)) == {"k": 1}
    assert numbers(leaves({"l": AbsentList([ONE, TWO])}, protocol)) == {"l.0": 1, "l.1": 2}


def test_slots_items_and_colliding_names_are_all_kept() -> None:
    assert numbers(leaves({"o": Slotted(ONE, TWO)})) == {"o.free": 1, "o.slot": 2}
    both = AbsentDict({"k": ONE})
    both.k, both.other = TWO, THREE
    assert numbers(leaves(both)) == {"items.k": 1, "state.k": 2, "state.other": 3}
    apart = AbsentDict({"k": ONE})
    apart.other = TWO
    assert numbers(leaves(apart)) == {"k": 1, "other": 2}


def test_a_state_that_a_function_sets_is_kept() -> None:
    assert numbers(leaves(SetByFunction(ONE))) == {"kept": 1}


def test_a_dotted_key_of_an_object_begins_dotted_keys() -> None:
    assert list(read({"l.w": Absent(a=ONE, b=TWO), "l.b": THREE})) == ["l.w.a", "l.w.b", "l.b"]
    assert list(read({"w": Absent(a=ONE)})) == ["w"]
    assert list(read({"l.w": Absent(a=ONE), "l.w.a": TWO})) == ["l.w", "l.w.a"]


def test_keys_that_are_no_names_make_two_lists() -> None:
    found = leaves({"d": {Absent(a=ONE): TWO, (1, Absent()): THREE, "k": 5}})
    assert numbers(found) == {"d.keys.0.a": 1, "d.values.0": 2, "d.values.1": 3}
    assert read({("a", 1): 2}) == {("a", 1): 2}


def test_objects_in_an_array_come_out() -> None:
    ragged = np.array([ONE, None, Absent(a=TWO)], dtype=object)
    assert numbers(leaves({"r": ragged})) == {"r.0": 1, "r.2.a": 2}
    assert numbers(leaves(np.array({"w": THREE}, dtype=object))) == {"0.w": 3}
    record = np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8")])
    assert numbers(leaves({"r": record, "w": ONE})) == {"w": 1}


def test_an_object_without_a_tensor_stays_opaque_and_is_counted() -> None:
    value = Ordered()
    value["a"] = Instance("m.C", (), {"lr": 1})
    found = ObjectTree(value)
    assert found.tree()["a"] is value["a"]
    assert found.opaque == {"m.C": 1}
    assert read({"n": argparse.Namespace(lr=1)})["n"].name == "argparse.Namespace"


def test_attributes_of_an_ordered_dict_come_out_if_a_tensor_is_in_them() -> None:
    made = unpickle(pickle.dumps(ONE), source_name="a").value
    value = Ordered()
    value["a"], value.state = 1, {"_metadata": {"": {"version": 1}}}
    assert tree(value) == {"a": 1}
    value.state = {"extra": made}
    assert list(tree(value)) == ["a", "extra"]


def test_circles_of_objects_are_cut_where_they_close() -> None:
    learner = Absent(model=ONE)
    learner.callbacks = [Absent(learner=learner, best=TWO)]
    assert numbers(leaves(learner)) == {"model": 1, "callbacks.0.best": 2}
    again = read(learner)["callbacks"][0]["learner"]
    assert isinstance(again, Opaque)
    assert again.name.endswith(".Absent")


def test_objects_that_share_each_other_unfold_within_bounds() -> None:
    value: Any = Absent(w=ONE)
    for _ in range(30):
        value = Absent(a=value, b=value, c=value)
    assert len(leaves(value)) >= 1
    network = [Absent(w=np.array(i)) for i in range(200)]
    for each in network:
        each.others = network
    assert set(numbers(leaves(network)).values()) == set(range(200))


PLAIN = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just(len), st.just(Absent))


@st.composite
def mixed(draw: Any, count: list[int]) -> Any:
    """Draw a nest of containers and absent objects with numbered tensors at random places."""

    def tensor() -> Any:
        count.append(len(count))
        return np.array(count[-1])

    def value(depth: int) -> Any:
        kind = draw(st.integers(0, 11 if depth < 5 else 2))
        if kind == 0:
            return tensor()
        if kind <= 2:
            return draw(PLAIN)
        inner = [value(depth + 1) for _ in range(draw(st.integers(0, 3)))]
        named = {f"n{i}" if draw(st.booleans()) else f"n.{i}": each for i, each in enumerate(inner)}
        makers: list[Any] = [
            lambda: inner, lambda: tuple(inner), lambda: named, lambda: AbsentList(inner),
            lambda: AbsentDict(named), lambda: Absent(**named), lambda: Reduced(*inner),
            lambda: SetByFunction(inner), lambda: np.fromiter([named], dtype=object),
        ]  # fmt: skip
        return makers[kind - 3]()

    return [value(0) for _ in range(3)]


@settings(max_examples=examples(200))
@given(st.data(), st.sampled_from([2, 4, 5]))
def test_every_tensor_of_a_nest_of_absent_objects_comes_out(data: Any, protocol: int) -> None:
    count: list[int] = []
    value = data.draw(mixed(count))
    found = [int(array) for array in leaves(value, protocol).values()]
    assert sorted(found) == count


def test_what_repeats_without_a_tensor_takes_no_tensor_with_it() -> None:
    value: Any = ("x",)
    for _ in range(40):
        value = (value,) * 10
    found = flatten(tree({"w": unpickle(pickle.dumps(ONE), source_name="a").value, "v": value}), "")
    assert list(found.leaves) == ["w"]


def test_names_of_calls_stay_short() -> None:
    data = b"\x80\x02cm\nf\n)R" + b")R" * 1000 + b"."
    assert unpickle(data, source_name="a.pkl").value.name == "m.f()"
