"""The number of a file's type is that of gguf-py, and true after a cast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import LlamaFileType

import caten_sd as sd
from caten_sd.formats.gguf.file_types import _NUMBERS, true_file_type
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec

MIXTURES = {22: "iq3_xxs", 27: "iq3_s", 29: "iq2_s"}  # whose names are not those of a type
LONG = {"float32": "ALL_F32", "float16": "MOSTLY_F16", "bfloat16": "MOSTLY_BF16"}


@pytest.mark.parametrize("name", _NUMBERS)
def test_the_numbers_are_those_of_gguf_py(name: str) -> None:
    for number in _NUMBERS[name]:
        try:
            known = LlamaFileType(number).name
        except ValueError:
            pytest.skip("this gguf-py is too old to know it")
        meant = LONG.get(name, f"MOSTLY_{name.upper()}")
        assert known.startswith(meant) or MIXTURES.get(number) == name


@pytest.mark.parametrize(
    ("said", "dtype", "meant"),
    [
        (0, "f16", 1), (1, "keep", 0), (7, "q8_0", 7), (1, "q8_0", 7), (0, "bf16", 32),
        (17, "q8_0", 7), ("x", "f16", "x"), (999, "f16", 999), (0, {"b.*": "q8_0"}, 0),
    ],
)  # fmt: skip
def test_a_cast_changes_it(tmp_path: Path, said: object, dtype: object, meant: object) -> None:
    state = {"a.w": np.ones((4, 64), "f4"), "b.w": np.ones((2, 64), "f4"), "n": np.ones(900, "f4")}
    said_of = {"general.file_type": said, "general.architecture": "none"}
    sd.write_state_dict(state, tmp_path / "a.gguf", metadata=said_of)
    sd.convert(tmp_path / "a.gguf", tmp_path / "b.gguf", dtype=dtype)
    assert sd.read_state_dict(tmp_path / "b.gguf").metadata["general.file_type"] == meant


def test_a_mixture_keeps_its_number() -> None:
    blocks, floats = (Spec((9, 256), DType(name, "block", 8, 1), 0) for name in ("Q4_K", "f"))
    assert true_file_type({"a": blocks, "b": floats, "c": floats}, 15) == 15


def test_a_file_that_does_not_say_it_is_written_as_it_was(tmp_path: Path) -> None:
    sd.write_state_dict({"a": np.ones((2, 2), "f4")}, tmp_path / "a.gguf")
    assert "general.file_type" not in sd.read_state_dict(tmp_path / "a.gguf").metadata
