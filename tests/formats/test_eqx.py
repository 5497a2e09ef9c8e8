"""Files of arrays one after another, without names, as Equinox writes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import read_state_dict, write_state_dict
from caten_sd.errors import FormatError, StateDictError


def written(path: Path, *arrays: Any, first: bytes = b"", last: bytes = b"") -> Path:
    file = io.BytesIO()
    for array in arrays:
        np.save(file, array)
    path.write_bytes(first + file.getvalue() + last)
    return path


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(0.5),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.zeros((0, 3), np.float16),
    np.array(True),
]


@pytest.mark.parametrize("first", [b"", b'{"size": 3, "depth": 2}\n'])
def test_arrays_have_their_numbers_as_keys(tmp_path: Path, first: bytes) -> None:
    with read_state_dict(written(tmp_path / "m.eqx", *ARRAYS, first=first)) as state:
        assert list(state) == ["0", "1", "2", "3", "4"]
        for leaf, array in zip(state.values(), ARRAYS, strict=True):
            assert leaf.numpy().dtype == array.dtype
            assert leaf.numpy().tolist() == array.tolist()
        assert state.metadata == ({"hyperparameters": first.decode().strip()} if first else {})


def test_elements_of_two_raw_bytes_are_bfloat16(tmp_path: Path) -> None:
    values = np.arange(4).astype(ml_dtypes.bfloat16)
    with read_state_dict(written(tmp_path / "m.eqx", values.view("V2"))) as state:
        assert str(state["0"].dtype) == "bfloat16"
        assert state["0"].numpy().tobytes() == values.tobytes()


def test_a_file_of_any_name_is_recognized_by_its_second_array(tmp_path: Path) -> None:
    with read_state_dict(written(tmp_path / "model", *ARRAYS)) as state:
        assert state.origin == "eqx"
    with read_state_dict(written(tmp_path / "one.npy", ARRAYS[0])) as state:
        assert state.origin == "npy"
    with pytest.raises(FormatError, match=r"rename it to \.eqx"):
        read_state_dict(written(tmp_path / "many.npy", *ARRAYS))


@pytest.mark.parametrize(
    ("arrays", "last", "why"),
    [
        (ARRAYS, b"rest", "does not begin as an .npy file"),
        (ARRAYS, b"\x93NUMPY", "does not begin as an .npy file"),
        ([ARRAYS[0], np.array(["text"])], b"", "at byte 152 .*<U4"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, arrays: Any, last: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        read_state_dict(written(tmp_path / "m.eqx", *arrays, last=last))


@pytest.mark.parametrize("size", range(1, 400, 37))
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "m.eqx", *ARRAYS)
    path.write_bytes(path.read_bytes()[:-size])
    with pytest.raises(FormatError, match=r"m\.eqx"):
        read_state_dict(path)


def test_it_is_not_written_and_the_error_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(StateDictError, match=r"tree_serialise_leaves.*\.safetensors"):
        write_state_dict({"w": ARRAYS[0]}, tmp_path / "m.eqx")
    assert not list(tmp_path.iterdir())
