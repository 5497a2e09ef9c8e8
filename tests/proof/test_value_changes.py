"""Formulas among many tensors: found where there is one way, and soon where there is none."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import explain, read_state_dict
from caten_sd.errors import FormatError
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.pairing import Pairing
from caten_sd.proof.value_changes import Pair, pair_by_formula
from caten_sd.proof.weights import Weights
from caten_sd.state.state_dict import StateDict


def test_many_tensors_of_other_weights_are_left_alone() -> None:
    random = np.random.default_rng(0)
    a = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((500, 64)).astype("f4"))}
    b = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((500, 64)).astype("f4"))}
    found = explain(a, b)
    assert found.layout is None
    assert len(found.undecided) == 1000
    assert "no tensor of one" in found.sheet().cause


def test_each_of_many_norms_finds_its_own() -> None:
    random = np.random.default_rng(0)
    a = {f"h.{i}.w": w for i, w in enumerate(random.standard_normal((200, 64)).astype("f4"))}
    b = {f"l.{i}.g": w + np.float32(1) for i, w in enumerate(a.values())}
    found = explain(a, b)
    assert found.is_whole
    assert len(found.rows) == 1


def test_two_tensors_with_one_formula_are_undecided() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal(64).astype("f4")
    found = explain({"a": w, "x": random.standard_normal(3)}, {"b": w + 1, "c": w + 2})
    assert found.layout is None
    assert {each.key for each in found.undecided} == {"a", "x", "b", "c"}


def test_a_file_that_is_cut_off_between_two_reads_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.safetensors"
    w = np.random.default_rng(0).standard_normal(1 << 16).astype("f4")
    save_file({"b": w + 1}, path)
    with read_state_dict(path) as state:
        a, b = Weights(StateDict({"a": w})), Weights(state)
        for each in (a, b):
            each.read({"float32"})

        def cut(pairs: Iterator[Pair]) -> list[Pair]:
            found = list(pairs)
            os.truncate(path, 4096)
            return found

        monkeypatch.setattr("caten_sd.proof.value_changes._only", cut)
        found = Pairing(a=dict.fromkeys("a"), b=dict.fromkeys("b"))
        with pytest.raises(FormatError, match=r"b\.safetensors"):
            pair_by_formula(found, a, b, NamedSizes({}))
