"""LeafTable: each leaf is made once, when it is asked for, from any thread."""

from __future__ import annotations

import copy
import operator
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from caten_sd import StateDict
from caten_sd.state.leaf_table import LeafTable


class Maker:
    """Counts what it makes."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, position: int) -> list[int]:
        self.made.append(position)
        return [position]


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def state(maker: Maker) -> StateDict:
    return StateDict(LeafTable(["a", "b", "c"], maker))


def test_what_needs_no_leaf_makes_none(state: StateDict, maker: Maker) -> None:
    assert list(state) == list(state.keys()) == ["a", "b", "c"]
    assert (len(state), "b" in state, "d" in state, state.get("d")) == (3, True, False, None)
    assert dict(state.paths) == {"a": ["a"], "b": ["b"], "c": ["c"]}
    with pytest.raises(KeyError):
        state["d"]
    assert maker.made == []


def test_a_leaf_is_made_once_and_kept(state: StateDict, maker: Maker) -> None:
    first = state["b"]
    assert (first, maker.made) == ([1], [1])
    assert state["b"] is first is state.entry["b"] is dict(state.items())["b"]
    assert list(state.values()) == [[0], [1], [2]]
    assert sorted(maker.made) == [0, 1, 2]
    assert type(state.entry) is dict is type(state.entry)


def test_a_further_name_is_of_the_same_leaf(maker: Maker) -> None:
    table = LeafTable(["a", "b"], maker)
    table["c"] = table["a"]
    assert (list(table), table["c"] is table["a"]) == (["a", "b", "c"], True)
    assert list(table.made()) == ["a", "b", "c"]


def test_views_show_what_was_put_into_the_entry_and_taken_out(state: StateDict) -> None:
    keys = state.keys()
    state.entry["d"] = state.entry.pop("b")
    assert list(keys) == list(state.keys()) == ["a", "c", "d"]
    assert (len(keys), "b" in keys, "d" in keys) == (3, False, True)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_has_all_leaves(copied, maker: Maker) -> None:  # type: ignore[no-untyped-def]
    table = LeafTable(["a", "b"], maker)
    assert copied(table) == {"a": [0], "b": [1]} == table


def test_threads_get_the_same_leaf(maker: Maker) -> None:
    keys = [str(n) for n in range(200)]
    for _ in range(20):
        state = StateDict(LeafTable(list(keys), maker))
        ways = [
            lambda state=state: [state[key] for key in keys],
            lambda state=state: [state[key] for key in reversed(keys)][::-1],
            lambda state=state: list(state.values()),
        ]
        with ThreadPoolExecutor(6) as pool:
            first, *others = (ask.result() for ask in [pool.submit(way) for way in ways * 2])
        for leaves in others:
            assert all(map(operator.is_, leaves, first))
