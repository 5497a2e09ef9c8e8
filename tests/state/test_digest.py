from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import caten_sd as sd
from caten_sd.state.digest import STORED, tensor_digests

STATE = {
    "a": torch.arange(5, dtype=torch.float64),
    "b": torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).bfloat16(),
    "c": torch.tensor(True),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_same_content_in_any_container_and_order_has_one_digest(tmp_path: Path, suffix: str):
    path = tmp_path / f"w{suffix}"
    sd.write_state_dict(dict(reversed(STATE.items())), path)
    with sd.read_state_dict(path) as read:
        assert sd.digest(read) == sd.digest(STATE)


@pytest.mark.parametrize(
    "other",
    [
        {**STATE, "a": STATE["a"].float()},
        {**STATE, "a": STATE["a"].reshape(5, 1)},
        {**STATE, "a": -STATE["a"]},
        {**STATE, "d": torch.zeros(0)},
        {"a": STATE["a"], "b": STATE["b"], "C": STATE["c"]},
    ],
    ids=["dtype", "shape", "bytes", "a key more", "a key renamed"],
)
def test_any_difference_gives_another_digest(other: dict[str, torch.Tensor]):
    assert sd.digest(other) != sd.digest(STATE)


def test_negative_zero_is_not_zero():
    assert sd.digest({"w": np.array([0.0])}) != sd.digest({"w": np.array([-0.0])})


def test_one_flipped_bit_is_found_and_named(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    sd.write_state_dict(STATE, path, digests=True)
    with sd.read_state_dict(path, verify=True) as read:
        assert json.loads(read.metadata[STORED]) == tensor_digests(STATE)
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x10  # in b: the data goes from wide elements to narrow ones, and c is one byte
    path.write_bytes(data)
    with pytest.raises(
        sd.FormatError, match=r"w\.safetensors: 1 tensor not as saved: b; .* get it again"
    ):
        sd.read_state_dict(path, verify=True)


def test_verify_without_digests_says_so(tmp_path: Path):
    sd.write_state_dict(STATE, tmp_path / "w.npz")
    with pytest.raises(sd.FormatError, match=r"no digests .* digests=True, .* --digests"):
        sd.read_state_dict(tmp_path / "w.npz", verify=True)


def test_digests_of_a_file_do_not_outlive_a_change(tmp_path: Path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    sd.write_state_dict(STATE, first, digests=True)
    sd.convert(first, second, dtype="f16")
    with sd.read_state_dict(second) as read:
        assert STORED not in read.metadata
