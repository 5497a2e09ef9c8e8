"""Nested containers become dotted keys, within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import StateDictError
from caten_sd.state import tree
from caten_sd.state.tree import flatten, is_container, items

W = np.zeros(2, "f4")


def test_leaves_have_dotted_keys_and_values_are_kept_apart() -> None:
    found = flatten({"h": [{"w": W}, {"w": W}], "step": 3, "b": W}, "model")
    assert list(found.leaves) == ["h.0.w", "h.1.w", "b"]
    assert found.others == {"step": 3}
    assert str(found) == "'model' (3 tensors, 24 bytes)"


def test_one_tensor_is_not_a_plural() -> None:
    assert str(flatten({"w": W}, "m")) == "'m' (1 tensor, 8 bytes)"


def test_two_entries_of_one_key_are_refused() -> None:
    with pytest.raises(StateDictError, match=r"key 'a\.b'"):
        flatten({"a": {"b": W}, "a.b": W}, "")


def nested(depth: int) -> Any:
    return {"x": nested(depth - 1)} if depth else W


def shared(depth: int) -> Any:
    node: Any = {"w": 1}
    for _ in range(depth):
        node = [node, node]
    return node


@pytest.mark.parametrize(
    ("node", "limit"),
    [(nested(tree.MAX_DEPTH + 2), "more than 100 deep"), (shared(25), "over 100,000 containers")],
)
def test_a_tree_beyond_a_limit_is_refused_with_the_limit(node: Any, limit: str) -> None:
    with pytest.raises(StateDictError, match=limit):
        flatten(node, "")


def test_too_many_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_NODES", 3)
    with pytest.raises(StateDictError, match="over 3 entries, at 'a'"):
        flatten({"a": [1, 2, 3, W]}, "")


def test_empty_containers_are_left_out_and_a_long_list_of_plain_values_is_one_value() -> None:
    numbers, pairs = [0.5] * 2000, [(1, "a")] * 2000
    found = flatten({"w": W, "none": [{}, [], ()], "losses": numbers, "pairs": pairs}, "")
    assert (list(found.leaves), found.others) == (["w"], {"losses": numbers, "pairs": pairs})
    assert len(flatten({"many": [W, *numbers]}, "").others) == 2000


def test_children_have_names_or_indices() -> None:
    assert list(items({1: "a"})) == [("1", "a")]
    assert list(items(("a",))) == [("0", "a")]
    assert list(items(W)) == []
    assert not is_container(W)


def test_a_table_of_long_rows_is_one_value_unless_tables_share_rows() -> None:
    rows = [[0.5] * 20 for _ in range(2000)]
    assert flatten({"w": W, "rows": rows}, "").others == {"rows": rows}
    assert len(flatten({"rows": [rows[0]] * 2000}, "").others) == 40_000
    found = flatten({"first": rows, "again": rows[::-1], "same": rows}, "").others
    assert len(found) == 2 + 40_000
    assert len(flatten({"rows": [[W, *row] for row in rows]}, "").leaves) == 2000
