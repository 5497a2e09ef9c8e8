"""Under which names two states are compared: their own, without a prefix, or canonical ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, StateDict, diff, to_layout
from caten_sd.state.state_dict import STAMP
from tests.proof.test_difference import CONFIG, base, kinds, llama, trained


def test_a_prefix_of_every_key_is_left_out() -> None:
    a = {"fc.0.w": np.ones((4, 8)), "fc.1.w": np.zeros(3)}
    found = diff({f"module.{key}": each for key, each in a.items()}, a)
    assert found.is_same
    assert "keys of A are compared without 'module.'" in found.notes[0]
    assert {row.a: row.b for row in found.rows}["module.fc.0.w",] == ("fc.0.w",)


def test_a_model_without_its_head_has_the_same_names() -> None:
    a = llama()
    b = {key.removeprefix("model."): each for key, each in a.items() if key != "lm_head.weight"}
    found = diff(a, b)
    assert kinds(found) == {"only_a": 1, "bytes": len(b)}
    assert {row.a: row.b for row in found.rows}["model.norm.weight",] == ("norm.weight",)


def stamped(weights: dict[str, Any], layout: str) -> StateDict:
    """Return the weights in a layout, whose name is stored in the metadata."""
    return to_layout(weights, layout, from_layout="hf-llama", config=CONFIG)


def test_a_fine_tune_in_another_layout_is_compared_name_by_name() -> None:
    a = llama()
    found = diff(stamped(a, "hf-llama"), stamped(trained(a), "gguf-llama"), config=CONFIG)
    assert kinds(found) == {"changed": 30, "bytes": 9}
    assert max(row.relative for row in found.rows) < 0.004


def test_without_a_known_layout_a_fine_tune_is_found_by_its_values() -> None:
    a = llama()
    found = diff(a, dict(stamped(trained(a), "gguf-llama")), config=CONFIG)
    assert kinds(found) == {"changed": 30, "moved": 9}
    assert max(row.relative for row in found.rows) < 0.004


def test_a_layout_may_be_named() -> None:
    a = stamped(llama(), "hf-llama")
    found = diff(a, stamped(llama(), "gguf-llama"), layout="hf-llama", config=CONFIG)
    assert found.is_same
    assert "both are compared as hf-llama" in found.notes[0]
    assert "model.norm.weight" in {row.key for row in found.rows}
    with pytest.raises(LayoutError):
        diff({"x": np.ones(3)}, a, layout="hf-llama", config=CONFIG)


def test_without_head_counts_contents_are_compared_and_it_is_said() -> None:
    a = stamped(llama(), "hf-llama")
    b = StateDict(dict(stamped(llama(), "gguf-llama")), metadata={STAMP: "gguf-llama"})
    found = diff(a, b)
    assert "keeps its own names" in found.notes[0]
    assert "n_head" in found.notes[0]
    assert kinds(found) == {"turned": 8, "moved": 31}


def test_a_side_without_a_config_has_the_numbers_of_the_other(tmp_path: Path) -> None:
    bare = StateDict(dict(stamped(llama(), "gguf-llama")), metadata={STAMP: "gguf-llama"})
    assert diff(base(tmp_path / "base"), bare).is_same
    assert diff(bare, tmp_path / "base").is_same


def test_fewer_layers_in_another_layout(tmp_path: Path) -> None:
    short = {key: each for key, each in llama().items() if ".layers.3." not in key}
    b = to_layout(
        short, "gguf-llama", from_layout="hf-llama", config={**CONFIG, "num_hidden_layers": 3}
    )
    found = diff(base(tmp_path / "base"), b)
    assert kinds(found) == {"only_a": 9, "bytes": 30}
    assert found.sheet().cause == "B ends after 3 of the 4 layers that A has"
