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


@pytest.mark.parametrize("node", [nested(tree.MAX_DEPTH + 1), shared(25)])
def test_a_tree_without_bound_is_refused(node: Any) -> None:
    with pytest.raises(StateDictError, match="without bound"):
        flatten(node, "")


def test_too_many_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_NODES", 3)
    with pytest.raises(StateDictError, match="without bound at '3'"):
        flatten([1, 2, 3, 4], "")


def test_children_have_names_or_indices() -> None:
    assert list(items({1: "a"})) == [("1", "a")]
    assert list(items(("a",))) == [("0", "a")]
    assert list(items(W)) == []
    assert not is_container(W)
