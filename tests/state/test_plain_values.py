"""Plain values survive as they were, type and all."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from caten_sd import LoadError, StateDictError, read_state_dict, write_state_dict
from caten_sd.state.keys import pytorch_style_dict_key
from caten_sd.state.plain_values import read_tree, tree_pairs
from caten_sd.state.saved_leaf import live
from caten_sd.state.training_keys import VALUES

PLAIN = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
TREES = some.recursive(
    PLAIN,
    lambda below: (
        some.lists(below)
        | some.tuples(below, below)
        | some.dictionaries(some.text() | some.integers(), below)
    ),
)


def through(tree: Any) -> Any:
    pairs = tree_pairs(tree, ["part"])
    return live(read_tree({pytorch_style_dict_key(p): leaf for p, leaf in pairs}, "part"))


@given(TREES)
def test_any_tree_comes_back(tree: Any) -> None:
    assert through(tree) == tree
    assert repr(through(tree)) == repr(tree)


def test_odd_values_come_back() -> None:
    tree = {
        "milestones": Counter({30: 1, 80: 2}), "history": deque([1, 2], maxlen=5),
        "set": {3, 1}, "bytes": b"\x00\xff", "complex": 1 - 2j, "best": -math.inf,
        "$tag": 1, "zero": -0.0, ("a", 1): (None, ()),
    }  # fmt: skip
    back = through(tree)
    assert repr(back) == repr(tree)
    assert back["history"].maxlen == 5
    assert math.isnan(through(math.nan))
    assert through(OrderedDict(a=1)) == {"a": 1}


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", "/"])
def test_tensors_of_both_kinds_come_back_from_files(suffix: str, tmp_path: Path) -> None:
    tree = {"t": [torch.arange(3.0)], "n": (np.uint32([7]), np.float32(2.5)), 3: torch.tensor(1)}
    state = {pytorch_style_dict_key(path): leaf for path, leaf in tree_pairs(tree, ["part"])}
    target = f"{tmp_path}/part{suffix}"
    if suffix == "/":
        write_state_dict(state, target)
    else:
        write_state_dict(state, target)
    back = live(read_tree(read_state_dict(target).entry, "part"))
    assert torch.equal(back["t"][0], tree["t"][0])
    assert torch.equal(back[3], torch.tensor(1))
    assert back["n"][0].dtype == np.uint32
    assert type(back["n"][1]) is np.float32


def text(json: str) -> dict[str, Any]:
    return {f"part.{VALUES}": np.frombuffer(json.encode(), np.uint8)}


@pytest.mark.parametrize(
    "damaged", ["{", '{"$leaf":"torch"}', '{"$new":1}', '{"$dict":3}', '{"$counter":[[[],1]]}',
             "[" * 100_000, '{"$complex":["x"]}', '{"$deque":[1]}', "\xff"],
)  # fmt: skip
def test_a_damaged_text_is_refused(damaged: str) -> None:
    with pytest.raises(LoadError, match="nothing was changed"):
        read_tree(text(damaged), "part")


def test_an_array_of_numbers_is_not_a_text() -> None:
    with pytest.raises(LoadError, match="damaged"):
        read_tree({f"part.{VALUES}": np.zeros((2, 2))}, "part")


def test_a_lambda_is_named() -> None:
    with pytest.raises(
        StateDictError, match=r"'part.rules.0' is a function, which no file can hold"
    ):
        tree_pairs({"rules": [lambda: None]}, ["part"])
