from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd.errors import CatenError, FormatError
from caten_sd.files.checkpoint import write_state_dict
from caten_sd.testing.trials import Trial, tried

W = np.arange(3, dtype="f4")


def test_a_sound_file_gives_its_arrays_and_a_refused_one_its_error(tmp_path: Path) -> None:
    write_state_dict({"w": W}, tmp_path / "w.npz")
    known = tried(tmp_path / "w.npz")
    assert isinstance(known.result, dict)
    assert known.problem == known.change({"w": W}) == ""
    (tmp_path / "v.npz").write_bytes(b"PK")
    refused = tried(tmp_path / "v.npz")
    assert isinstance(refused.result, FormatError)
    assert refused.problem == refused.change({"w": W}) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "keys"),
        ({"w": W, "v": W}, "keys"),
        ({"w": W + 1}, "other values"),
        ({"w": W.astype("f8")}, "other values"),
        ({"w": W.reshape(1, 3)}, "other values"),
        ({"w": CatenError("refused")}, ""),
        ({"w": W}, ""),
    ],
)
def test_arrays_that_are_not_the_expected_ones_are_told(found: dict[str, Any], said: str) -> None:
    change = Trial("", found).change({"w": W})
    assert said in change
    assert bool(said) == bool(change)
