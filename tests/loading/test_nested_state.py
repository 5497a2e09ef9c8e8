"""State that is not a tensor is rebuilt from dotted keys; no stage changes what it is given."""

from __future__ import annotations

import pytest

from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.nested_state import put_together, with_others
from caten_sd.state.leaf import Opaque
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
    named = NamedLeaves({f"x.{key}": value for key, value in flat.items()}, {"x.0": "y"})
    before = dict(named.leaves)
    assert put_together(named, {}, ["x"], ["x"]).leaves == {"x": expected}
    assert named.leaves == before
    assert named.keys == {"x.0": "y"}


def test_a_name_that_is_there_stays_and_other_values_that_are_not_tensors_go() -> None:
    source = StateDict({"w": 1, "x": 2}, others={"step": 3, "x.y": 4})
    merged = with_others(source, ["x"], ["w", "x"])
    assert list(merged) == ["w", "x", "step", "x.y"]
    assert put_together(NamedLeaves(merged), source.others, ["x"], ["w", "x"]).leaves == {
        "w": 1,
        "x": 2,
    }


def test_other_values_are_left_out_unless_a_slot_may_be_meant() -> None:
    opaque = Opaque("some.Quantized")
    source = StateDict({"w": 1}, others={"step": 3, "b": 4, "module.b": opaque})
    assert with_others(StateDict({"w": 1}, others={"step": 3}), [], {"w"}).entry == {"w": 1}
    assert with_others(source, [], {"b"}).entry == {"w": 1, "b": 4, "module.b": opaque}
    named = NamedLeaves({"w": 1, "b": 4, "module.b": opaque})
    assert put_together(named, source.others, [], {"b"}).leaves == {"w": 1, "b": 4}
