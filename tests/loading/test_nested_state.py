"""State that is no tensor is put together again from dotted keys."""

from __future__ import annotations

import pytest

from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.nested_state import put_together, with_others
from caten_sd.state.state_dict import StateDict


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a.b.c": 1, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"0": 1, "1.0": 2}, [1, [2]]),
        ({"1": 1}, {"1": 1}),
        ({"1": 1, "0": 2}, {"1": 1, "0": 2}),
    ],
)
def test_trees(flat: dict[str, int], expected: object) -> None:
    given = NamedLeaves({f"x.{key}": value for key, value in flat.items()})
    put_together(given, StateDict({}), ["x"])
    assert given.leaves == {"x": expected}


def test_a_name_that_is_there_stays_and_what_is_no_tensor_besides_goes() -> None:
    source = StateDict({"w": 1, "x": 2}, others={"step": 3, "x.y": 4})
    merged = with_others(source, ["x"])
    assert list(merged) == ["w", "x", "step", "x.y"]
    given = NamedLeaves(dict(merged))
    put_together(given, source, ["x"])
    assert given.leaves == {"w": 1, "x": 2}


def test_nothing_is_merged_where_nothing_wants_it() -> None:
    source = StateDict({"w": 1}, others={"step": 3})
    assert with_others(source, []) is source
