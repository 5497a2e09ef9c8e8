"""Trees of saved leaves: what each of their operations returns."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

from caten_sd.state.saved_leaf import SavedLeaf, bare, live, same_value, saved_leaves

LEAF = np.arange(3.0)


def tree() -> dict[str, Any]:
    number = SavedLeaf("a.n.1", np.array(2.5, "f4"), "number")
    return {"t": SavedLeaf("a.t", LEAF), "n": [SavedLeaf("a.n.0", LEAF, "numpy"), number], "lr": 1}


def test_a_live_tree_has_arrays_of_the_saved_kinds_and_their_own_memory() -> None:
    found = live(tree())
    assert torch.equal(found["t"], torch.arange(3.0).double())
    assert type(found["n"][0]) is np.ndarray
    assert type(found["n"][1]) is np.float32
    assert not np.shares_memory(found["n"][0], LEAF)
    assert not np.shares_memory(found["t"].numpy(), LEAF)
    assert found["lr"] == 1


def test_a_bare_tree_has_the_leaves_of_the_file() -> None:
    found = bare(tree())
    assert found["t"] is found["n"][0] is LEAF


def test_leaves_are_listed_in_order_wherever_they_are() -> None:
    leaves = saved_leaves({"tree": tree(), "more": deque([(SavedLeaf("b", LEAF),)])})
    assert [leaf.key for leaf in leaves] == ["a.t", "a.n.0", "a.n.1", "b"]


def test_values_are_equal_by_type_and_tensors_by_value() -> None:
    assert same_value(SavedLeaf("a", LEAF), SavedLeaf("b", LEAF.copy()))
    assert not same_value(SavedLeaf("a", LEAF), SavedLeaf("b", LEAF + 1))
    assert same_value((1, "x"), (1, "x"))
    assert not same_value(1, 1.0)
