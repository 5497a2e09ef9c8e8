"""suggest: the layout that is drafted, its operations, and what its file says of each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caten_sd import Layout, suggest, to_layout
from caten_sd.errors import StateDictError
from caten_sd.loading.load import plan_load


def state(names: dict[str, tuple[int, ...]], layers: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name.format(i=i): random.standard_normal(shape).astype("f4")
        for i in range(layers)
        for name, shape in names.items()
    }


A = state({"h.{i}.q": (4, 4), "h.{i}.k": (4, 4), "h.{i}.fc": (6, 4), "h.{i}.conv": (4, 1, 3)})
B = {
    **{key.replace("h.", "blk.").replace("fc", "up"): each.T for key, each in A.items()},
    **{f"blk.{i}.conv": A[f"h.{i}.conv"][:, 0] for i in range(3)},
}


def test_the_layout_gives_what_the_other_has(tmp_path: Path) -> None:
    found = suggest(A, B, name="mine")
    assert found.is_whole
    assert {str(row) for row in found.told} == {
        "h.{i}.fc <-> blk.{i}.up",
        "h.{i}.conv <-> blk.{i}.conv",
    }
    assert {str(row) for row in found.placed} == {
        "h.{i}.q <-> blk.{i}.q",
        "h.{i}.k <-> blk.{i}.k",
    }
    assert not found.guessed
    (tmp_path / "mine.toml").write_text(found.to_toml())
    layout = Layout.from_toml(tmp_path / "mine.toml")
    made = to_layout(A, layout, from_layout=layout.canonical, strict=True)
    assert made.keys() == B.keys()
    for key, leaf in made.items():
        np.testing.assert_array_equal(leaf, B[key])


def test_the_file_says_what_shows_each_row() -> None:
    text = suggest(A, B).to_toml()
    assert text.count("# told by its shape") == 2
    assert text.count("# a guess: they are at one place in modules of the same sizes") == 2
    text = suggest(A, {key: leaf for key, leaf in B.items() if "conv" not in key}).to_toml()
    assert text.count("# a guess: the words are 1.00 alike; correct it or remove it") == 2


def test_a_name_may_look_like_a_table_of_the_file() -> None:
    text = suggest({"[[rows]]": np.zeros(3)}, {"w": np.zeros(3)}).to_toml()
    assert text.count("# told by its shape") == 1


def test_there_may_be_more_axes_than_letters() -> None:
    a, b = np.zeros((1,) * 27 + (2, 3, 4)), np.zeros((4, 2, 3))
    found = suggest({"a": a}, {"b": b})
    assert found.layout is not None
    made = to_layout({"a": a}, found.layout, from_layout=found.layout.canonical)
    assert made["b"].shape == b.shape


def test_what_is_open_is_listed() -> None:
    a, b = state({"h.{i}.one": (2,), "h.{i}.two": (2,)}), state({"l.{i}.x": (2,), "l.{i}.y": (2,)})
    found = suggest(a | {"{odd}": np.zeros(9)}, b)
    assert found.layout is None
    assert not found.is_whole
    assert found.left == (["h.{i}.one", "h.{i}.two", "{odd}"], ["l.{i}.x", "l.{i}.y"])
    assert "0 of 7 tensors in A" in str(found)
    with pytest.raises(StateDictError, match="nothing is suggested"):
        found.to_toml()


def test_models_are_taken_and_nothing_is_read() -> None:
    with torch.device("meta"):
        model = torch.nn.ModuleDict({"fc": torch.nn.Linear(4, 6), "out": torch.nn.Linear(6, 5)})
    found = suggest({"a.w": np.zeros((6, 4)), "b.w": np.zeros((5, 6)), "a.b": np.zeros(6)}, model)
    assert {str(row) for row in found.told} == {
        "a.w <-> fc.weight",
        "b.w <-> out.weight",
        "a.b <-> fc.bias",
    }


def test_a_check_that_finds_nothing_else_names_the_likeness() -> None:
    model = {f"deep.{i}.{name}": torch.zeros(4, 4) for i in range(3) for name in ("wq", "wk")}
    file = {f"x{i}.attn_{name}.w": np.zeros((4, 4), "f4") for i in "abc" for name in "qk"}
    assert "suggest" not in str(plan_load(model, file).cause)
    file = {f"x.{i}.attn_{name}.kernel": np.zeros((4, 4), "f4") for i in range(3) for name in "qk"}
    cause = str(plan_load(model, file).cause)
    assert "6 names may have a counterpart" in cause
    assert "suggest(state_dict, model)" in cause
