from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors import FormatError
from caten_sd.files.cast import cast_floats
from caten_sd.files.read_back import compare_written
from caten_sd.state.pieces import hashing, reported_pieces

KEYS = [f"h.{n}.w" for n in range(9)]


def state(*wrong: str) -> dict[str, Any]:
    return {key: np.full((3, 2), n + (key in wrong), "f4") for n, key in enumerate(KEYS)}


def expected(tmp_path: Path) -> Any:
    sd.write_state_dict(state(), tmp_path / "w.safetensors")
    return sd.read_state_dict(tmp_path / "w.safetensors")


@pytest.mark.parametrize("hashed", [KEYS, KEYS[::2], []])
def test_the_first_tensor_that_differs_is_named(tmp_path: Path, hashed: list[str]) -> None:
    with expected(tmp_path) as meant, hashing() as hashes:
        for key in hashed:
            list(reported_pieces(meant[key]))
        assert compare_written(meant, state(), hashes, Path("w")).size == 9 * 24
        with pytest.raises(FormatError, match=r"h\.3\.w.*does not read back"):
            compare_written(meant, state("h.7.w", "h.3.w"), hashes, Path("w"))
        there = {key: leaf for key, leaf in state().items() if key != "h.4.w"}
        with pytest.raises(FormatError, match=r"h\.4\.w.*is missing"):
            compare_written(meant, there, hashes, Path("w"))
        flat = {key: leaf.reshape(-1) for key, leaf in state().items()}
        with pytest.raises(FormatError, match=r"h\.0\.w.*does not read back"):
            compare_written(meant, flat, hashes, Path("w"))


def test_what_casts_lose_is_measured_on_what_was_written(tmp_path: Path) -> None:
    with expected(tmp_path) as meant, hashing() as hashes:
        half = cast_floats(meant, {"h.8.w": "f16", "*": "keep"})
        wrote = {key: leaf.numpy() for key, leaf in half.items()}
        done = compare_written(half, wrote, hashes, Path("w"))
        assert (done.casts, done.error) == ({"float32 to float16": 1}, 0)
