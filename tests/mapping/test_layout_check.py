"""Checking a file against a layout: one screen, the likely cause, and the line that mends it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import get_state_dict, read_state_dict, to_layout, write_state_dict
from caten_sd.cli import main
from caten_sd.extend import as_array
from caten_sd.mapping.layout_check import check_layout
from caten_sd.nn import Transformer
from caten_sd.state.grouping import MAX_LINES
from caten_sd.state.leaf import Numpy

CAUSE, FIX = "likely cause: ", "fix: "


@pytest.fixture(scope="module")
def hf() -> dict[str, np.ndarray]:
    turned = to_layout(get_state_dict(Transformer(16, 2, 3, 1e-5, 24, max_seq_len=20)), "hf-gpt2")
    return {key: np.array(as_array(Numpy(), leaf)) for key, leaf in turned.items()}


def text_of(state: dict[str, Any], layout: str = "hf-gpt2") -> str:
    check = check_layout(state, layout, file="some file.pt")
    text = str(check)
    assert len(text.splitlines()) <= MAX_LINES
    assert max(map(len, text.splitlines())) < 160
    assert json.loads(json.dumps(check.to_dict()))["fits"] == check.fits
    return text


def test_what_is_in_the_layout_is_said_in_a_line_or_two(hf: dict[str, np.ndarray]) -> None:
    text = text_of(hf)
    assert text.startswith(f"{len(hf)} of {len(hf)} keys are names of hf-gpt2, in the shapes")
    assert CAUSE not in text
    assert FIX not in text


def test_another_layout_is_named_and_brought_over(hf: dict[str, np.ndarray]) -> None:
    lines = text_of(hf, "caten-gpt2").splitlines()
    assert lines[0].startswith(f"1 of {len(hf)} keys are names of caten-gpt2; ")  # lm_head.weight
    assert f"in the file, not in the layout ({len(hf) - 1}):" in lines
    assert "in the layout, not in the file (16):" in lines
    assert lines[-2].startswith(f"{CAUSE}it is in hf-gpt2 (")
    fix = "caten-sd convert 'some file.pt' 'some file.caten-gpt2.safetensors' --to caten-gpt2"
    assert lines[-1] == FIX + fix


@pytest.mark.parametrize("prefix", ["module", "gpt", "_orig_mod.module", "a.b.c.d"])
@pytest.mark.parametrize("layout", ["hf-gpt2", "caten-gpt2"])
def test_what_every_key_begins_with_is_found_and_the_line_takes_it_off(
    prefix: str, layout: str, hf: dict[str, np.ndarray], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    wrapped = {f"{prefix}.{key}": leaf for key, leaf in hf.items()}
    write_state_dict(wrapped, "w.npz")
    check = check_layout(wrapped, layout, file="w.npz")
    assert f"without '{prefix}.'," in check.cause
    assert "it is hf-gpt2" in check.cause
    assert main(shlex.split(check.fix)[1:]) == 0
    with read_state_dict(f"w.{layout}.safetensors") as mended:
        assert check_layout(mended, layout).fits


def test_transposed_matrices_are_counted(hf: dict[str, np.ndarray]) -> None:
    linear = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    turned = {key: leaf.T if key.endswith(linear) else leaf for key, leaf in hf.items()}
    lines = text_of(turned).splitlines()
    assert "; 9 of another shape than the layout declares" in lines[0]
    assert f"{CAUSE}9 matrices are transposed compared with hf-gpt2" in lines
    assert lines[-1].endswith("--to hf-gpt2")  # from nanogpt, which it is


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ({}, "the file holds no tensors"),
        ({f"k{i}x": np.zeros(i + 1) for i in range(300)}, "no layout was recognized"),
        ({f"h.{'y' * i}.w\x1b": np.zeros(1) for i in range(30)}, "no layout was recognized"),
        ({f"{'a.' * 40}w": np.zeros(1)}, "no layout was recognized"),
    ],
)
def test_what_is_of_no_layout(state: dict[str, np.ndarray], cause: str) -> None:
    text = text_of(state)
    assert text.splitlines()[-1].startswith(CAUSE + cause)
    assert "\x1b" not in text


def test_a_missing_layer_is_not_another_layout(hf: dict[str, np.ndarray]) -> None:
    part = {key: leaf for key, leaf in hf.items() if "mlp.c_fc" not in key}
    text = text_of(part)
    assert "in the layout, not in the file (2):\n  h.{i}.mlp.c_fc.{weight,bias} x2" in text
    assert CAUSE not in text
