"""Select and rename: what is kept, what follows, what is refused, and that nothing is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from caten_sd import StateDict, StateDictError, read_state_dict, write_state_dict
from caten_sd.state.keys import Name
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.state_dict import STAMP

W, B = np.zeros((2, 3), "f4"), np.zeros(2, "f8")


def full() -> StateDict:
    return StateDict(
        {"h.0.w": W, "h.0.b": B, "wte": W, "head": W},
        paths=[["h", 0, "w"], ["h", 0, "b"], [Name("wte")], ["head"]],
        ties={"wte": "h.0.w", "head": "h.0.w"},
        metadata={"note": "kept", STAMP: "mine"},
        others={"h.0.count": 3, "step": 7},
        rest={"optimizer": {"lr": 0.1}},
        origin="npz",
        config={"n_head": 2},
        imports={"torch.Tensor": True},
    )


def beside(state: StateDict) -> tuple[Any, ...]:
    return (
        {key: value for key, value in state.metadata.items() if key != STAMP},
        state.rest,
        state.origin,
        state.config,
        state.imports,
    )


def test_a_selection_keeps_all_but_the_other_leaves() -> None:
    chosen = full().select("h.*", "head", exclude="*.b")
    assert list(chosen) == ["h.0.w", "head"]
    assert chosen.paths == {"h.0.w": ["h", 0, "w"], "head": ["head"]}
    assert chosen.ties == {"head": "h.0.w"}
    assert (chosen.metadata, chosen.others) == (full().metadata, full().others)
    assert beside(chosen) == beside(full())


def test_a_tied_key_whose_first_name_is_left_out_becomes_an_ordinary_one() -> None:
    assert full().select("head").ties == {}
    assert full().select("wte", "head").ties == {"head": "wte"}
    assert full().select("wte")["wte"] is W


def test_a_rename_takes_paths_ties_and_other_values_along() -> None:
    state = full().rename({"h.{i}": "layers.{i}", "head": "lm.head"})
    assert list(state) == ["layers.0.w", "layers.0.b", "wte", "lm.head"]
    assert state.paths["layers.0.w"] == ["layers", 0, "w"]
    assert state.paths["lm.head"] == ["lm", "head"]
    assert isinstance(state.paths["wte"][0], Name)
    assert state.ties == {"wte": "layers.0.w", "lm.head": "layers.0.w"}
    assert state.others == {"layers.0.count": 3, "step": 7}
    assert beside(state) == beside(full())


def test_a_layout_no_longer_names_keys_that_were_renamed() -> None:
    assert STAMP not in full().rename({"h": "l"}).metadata
    assert full().rename({"h": "h"}).metadata[STAMP] == "mine"


def test_steps_of_a_path_that_stay_are_those_of_the_old_path() -> None:
    state = StateDict({"a.b-c.x.y": W}, paths=[["a", Name("b-c"), "x.y"]])
    path = state.rename({"a": "top.0"}).paths["top.0.b-c.x.y"]
    assert path == ["top", 0, "b-c", "x.y"]
    assert isinstance(path[2], Name)
    assert state.rename({"a.b-c.x": "z"}).paths == {"z.y": ["z", "y"]}


def test_two_leaves_or_a_leaf_and_a_value_never_get_one_key() -> None:
    with pytest.raises(StateDictError, match=r"h\.0\.w and h\.0\.b would both become x"):
        full().rename({"h.0.w": "x", "h.0.b": "x"})
    with pytest.raises(StateDictError, match="wte and step would both become step"):
        full().rename({"wte": "step"})


def packed() -> StateDict:
    weight, scales, bias = torch.ones(4, 4, dtype=torch.int8), torch.ones(4), torch.zeros(4)
    return StateDict({"a.fc.weight": weight, "a.fc.SCB": scales, "a.fc.bias": bias, "b": bias})


@pytest.mark.parametrize(
    ("patterns", "exclude"), [(["*weight"], ()), (["*SCB"], ()), ((), "*SCB"), (["*"], "*.weight")]
)
def test_a_selection_never_parts_a_packed_weight_from_its_scales(
    patterns: list[str], exclude: Any
) -> None:
    with pytest.raises(StateDictError, match=r"a\.fc\.(weight|SCB) would be without a\.fc\."):
        packed().select(*patterns, exclude=exclude)


def test_a_packed_weight_and_its_scales_are_taken_or_left_together() -> None:
    assert list(packed().select("a.*")) == ["a.fc.weight", "a.fc.SCB", "a.fc.bias"]
    assert list(packed().select(exclude=["a.fc.weight", "a.fc.SCB"])) == ["a.fc.bias", "b"]
    assert list(packed().rename({"a": "x"}))[:2] == ["x.fc.weight", "x.fc.SCB"]
    with pytest.raises(StateDictError, match=r"a\.fc\.weight would be w and its scales in a\.fc"):
        packed().rename({"a.fc.weight": "w"})


KEYS = st.lists(st.text("abh01.", min_size=1, max_size=5), unique=True, min_size=2, max_size=8)


@st.composite
def states(draw: st.DrawFn) -> StateDict:
    keys = draw(KEYS)
    leaves = [np.full(1, n, "f4") for n in range(3)]
    return StateDict({key: leaves[draw(st.integers(0, 2))] for key in keys})


def same(one: StateDict, two: StateDict) -> bool:
    leaves = zip(one.values(), two.values(), strict=True)
    return (
        list(one) == list(two)
        and all(a is b for a, b in leaves)
        and (dict(one.paths), one.ties) == (dict(two.paths), two.ties)
    )


@given(states(), st.randoms(use_true_random=False))
def test_a_bijection_and_its_inverse_change_nothing(state: StateDict, random: Any) -> None:
    there = dict(zip(state, random.sample([*map(str.upper, state)], len(state)), strict=True))
    back = {new: old for old, new in there.items()}
    assert same(state.rename(there).rename(back), state)
    assert same(state.rename(there.__getitem__).rename(back.__getitem__), state)


@given(states(), st.data())
def test_what_is_selected_and_what_is_excluded_are_a_partition(
    state: StateDict, data: st.DataObject
) -> None:
    pattern = data.draw(st.sampled_from(["*", "*.*", "a*", "*0*", "?"]))
    try:
        chosen, left = state.select(pattern), state.select(exclude=pattern)
    except StateDictError:
        return
    assert sorted([*chosen, *left]) == sorted(state)
    assert [key for key in state if key in chosen] == list(chosen)
    for part in (chosen, left):
        assert part.ties == StateDict(part.entry).ties
        assert all(part.paths[key] == state.paths[key] for key in part)


def test_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"h.0.w": torch.ones(2), "b": torch.zeros(2)}, tmp_path / "w.safetensors")

    def fail(*_: object) -> None:
        raise AssertionError("it was read")

    with read_state_dict(tmp_path / "w.safetensors") as state:
        with monkeypatch.context() as patch:
            patch.setattr(LazyTensor, "numpy", fail)
            edited = state.select("h.*").rename({"h": "l"})
        write_state_dict(edited, tmp_path / "out.npz")
    assert list(np.load(tmp_path / "out.npz")) == ["l.0.w"]


def test_a_key_that_was_added_has_the_path_of_its_segments() -> None:
    state = StateDict({"a.0": W}, paths=[["a", 0]])
    state.entry["b.1"] = B
    assert state.select("b*").rename({"b": "c"}).paths == {"c.1": ["c", 1]}


def test_an_edited_state_closes_its_file() -> None:
    closed: list[bool] = []
    state = StateDict({"a": W}, close=lambda: closed.append(True))
    state.select("a").rename({"a": "b"}).close()
    assert closed == [True]
