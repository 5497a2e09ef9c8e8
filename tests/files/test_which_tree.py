"""Which tree of a nested checkpoint is the model."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from caten_sd import FormatError
from caten_sd.files.which_tree import model_tree
from caten_sd.state.leaf import Opaque

W = np.zeros((2, 2), "f4")
B = np.zeros(2, "f4")
S = np.zeros((), "f4")
FLAT = {"fc.weight": W, "fc.bias": B}
NESTED = {"fc": {"weight": W, "bias": B}, "blocks": [{"w": W}, {"w": W}]}
RNG = np.zeros(16, "u1")
UNFOLDED = ["fc.weight", "fc.bias", "blocks.0.w", "blocks.1.w"]
OPTIMIZER = {"state": {0: {"exp_avg": W}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


def tree(contents: Any, root: str | None = None) -> tuple[str, list[str]]:
    found = model_tree(contents, "w.pt", root)
    return found.root, list(found.leaves)


@pytest.mark.parametrize(
    ("contents", "root", "keys"),
    [
        (FLAT, "", ["fc.weight", "fc.bias"]),
        (NESTED, "", ["fc.weight", "fc.bias", "blocks.0.w", "blocks.1.w"]),
        (OrderedDict(FLAT), "", list(FLAT)),
        ([W, B], "", ["0", "1"]),
        ({"net": FLAT, "epoch": 3}, "net", list(FLAT)),
        ({"model": FLAT, "optimizer": OPTIMIZER}, "model", list(FLAT)),
        ({"model": FLAT, "opt": [OPTIMIZER], "epoch": 3}, "model", list(FLAT)),
        ({"state_dict": {"model": FLAT, "step": S}}, "state_dict.model", list(FLAT)),
        ({"state_dict": FLAT, "hyper": {"lr": 1, "betas": [0, 1]}}, "state_dict", list(FLAT)),
        ({"logit_scale": S, "visual": {"w": W}}, "", ["logit_scale", "visual.w"]),
        ({"optics": {"w": W}, "encoder": {"w": W}}, "", ["optics.w", "encoder.w"]),
        ({"optimizer": {"w": W}, "encoder": {"w": W}}, "", ["optimizer.w", "encoder.w"]),
        ({"scale": W, "encoder": FLAT}, "", ["scale", "encoder.fc.weight", "encoder.fc.bias"]),
        (
            {"model": {"x": W, "layers": [W, W], "num_heads": 5}, "step": 7},
            "model",
            ["x", "layers.0", "layers.1"],
        ),
        ({"model": {"enc": {"w": W}, "num_heads": 5}, "step": S}, "model", ["enc.w"]),
        ({"enc": {"w": W}, "num_heads": 5}, "", ["enc.w"]),
        (
            {"layers": {0: {"kernel": W}, 1: {"kernel": W}}},
            "",
            ["layers.0.kernel", "layers.1.kernel"],
        ),
        (
            {"model": NESTED, "lm_head": {"w": W}},
            "",
            [*(f"model.{k}" for k in UNFOLDED), "lm_head.w"],
        ),
        ({"params": NESTED, "opt_state": {"0": {"mu": NESTED}}, "step": S}, "params", UNFOLDED),
        (
            {"params": NESTED, "batch_stats": {"bn": {"mean": B}}},
            "",
            [*(f"params.{k}" for k in UNFOLDED), "batch_stats.bn.mean"],
        ),
        (
            {
                "state_dict": FLAT,
                "epoch": 2,
                "optimizer_states": [],
                "callbacks": {"Checkpoint": {"monitor": None, "kth_value": S, "path": "x"}},
            },
            "state_dict",
            list(FLAT),
        ),
        ({"model": FLAT, "rng_state": RNG, "cuda": {"rng": RNG}}, "model", list(FLAT)),
        ({"w": W, "b": B, "block": {"w": W}}, "", ["w", "b", "block.w"]),
        ({"epoch": 3}, "", []),
        ({}, "", []),
    ],
)
def test_the_one_tree_that_could_be_the_model_is_taken(
    contents: Any, root: str, keys: list[str]
) -> None:
    assert tree(contents) == (root, keys)


def test_several_trees_are_asked_about_with_their_sizes() -> None:
    contents = {"model": FLAT, "ema": {"shadow": FLAT}, "optimizer": OPTIMIZER, "epoch": 3}
    with pytest.raises(FormatError) as caught:
        tree(contents)
    message = str(caught.value)
    assert message.startswith("w.pt: 2 trees in it could be the model: 'model' (2 tensors, 24 b")
    assert "'ema.shadow'" in message
    assert 'root="model" or --root model' in message
    assert """root="" or --root ''""" in message
    assert tree(contents, "")[1][:4] == [
        *(f"model.{key}" for key in FLAT),
        *(f"ema.shadow.{key}" for key in FLAT),
    ]


def test_a_chosen_root_is_the_root_of_the_tree() -> None:
    assert tree({"model": FLAT, "ema": {"shadow": FLAT}}, "ema.shadow") == (
        "ema.shadow",
        list(FLAT),
    )
    assert tree({"model.w": W, "step": 3}, "model") == ("model", ["w"])


def test_a_value_that_is_not_a_tensor_is_among_the_others() -> None:
    found = model_tree({"w": W, "args": Opaque("argparse.Namespace"), "v": {"a": 1}}, "w.pt")
    assert (list(found.leaves), list(found.others)) == (["w"], ["args", "v.a"])


def test_two_entries_of_one_key_are_an_error() -> None:
    with pytest.raises(FormatError, match=r"w\.pt: two entries give the key 'a\.b'"):
        tree({"a": {"b": W, "c": B}, "a.b": W})


@pytest.mark.parametrize("leaf", [W, 3])
def test_containers_that_repeat_or_hold_themselves_end_soon(leaf: Any) -> None:
    bomb: Any = [leaf]
    for _ in range(60):
        bomb = [bomb, bomb]
    ring: list[Any] = [leaf]
    ring.append(ring)
    start = time.monotonic()
    for contents in ({"a": bomb}, {"a": ring}, ring, {"a": {"b": ring}, "epoch": 3}):
        with pytest.raises(FormatError, match=r"w\.pt: it (nests more than|holds over) 100"):
            tree(contents)
    assert time.monotonic() - start < 30  # half a second; unfolded it would take for ever
