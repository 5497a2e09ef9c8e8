"""How two leaves of one shape are alike, whatever holds their values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import read_state_dict, write_state_dict
from caten_sd.proof.likeness import Likeness, judged


def array() -> Any:
    return np.random.default_rng(0).standard_normal((24, 16), dtype="f4")


def test_zeros_of_both_signs_and_payloads_of_nan_are_the_same_values() -> None:
    a = np.array([0.0, np.nan], "f4")
    b = np.array([0x80000000, 0x7FC00001], "u4").view("f4")
    assert judged(a, b).likeness is Likeness.VALUES
    assert judged(a, a.copy()).likeness is Likeness.BYTES


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
@pytest.mark.parametrize("other", ["file", "numpy", "torch", "transposed"])
def test_leaves_in_files_and_in_memory(suffix: str, other: str, tmp_path: Path) -> None:
    changed = array()
    changed[5, 7] += 1
    write_state_dict({"w": array()}, tmp_path / f"a.{suffix}")
    write_state_dict({"w": changed}, tmp_path / f"b.{suffix}")
    with (
        read_state_dict(tmp_path / f"a.{suffix}") as a,
        read_state_dict(tmp_path / f"b.{suffix}") as b,
    ):
        leaf = {
            "file": b["w"],
            "numpy": changed,
            "torch": torch.from_numpy(changed),
            "transposed": np.asfortranarray(changed),
        }[other]
        for one, another in ((a["w"], leaf), (leaf, a["w"])):
            change = judged(one, another).change
            assert change is not None
            assert (change.changed, change.largest) == (1, pytest.approx(1.0))


def test_a_scalar_and_a_tensor_without_elements() -> None:
    assert judged(np.array(2, "f4"), np.array(2.0, "f8")).likeness is Likeness.VALUES
    assert judged(np.zeros((0, 3), "f4"), np.zeros((0, 3), "f8")).likeness is Likeness.VALUES
    change = judged(torch.tensor(2.0), torch.tensor(3.0)).change
    assert change is not None
    assert change.largest == 1.0
