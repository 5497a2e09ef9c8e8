"""A file that holds no tensor says what it holds instead."""

from __future__ import annotations

import datetime
import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import FormatError, read_state_dict


def itself() -> bytes:
    one: dict[str, Any] = {}
    one["s"] = one
    return pickle.dumps(one)


def of_objects() -> bytes:
    file = io.BytesIO()
    np.savez(file, w=np.zeros(2, [("a", "f4"), ("b", "O")]))
    return file.getvalue()


def gguf_of_type(number: int) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"w"
    return (head + struct.pack("<IQIQ", 1, 4, number, 0)).ljust(256, b"\0")


NO_TENSOR: dict[str, tuple[Callable[[], bytes], str]] = {
    "itself.pkl": (itself, "'s' is 'a dict that holds itself'"),
    "objects.npz": (of_objects, "'w' is .numpy.ndarray of .*O"),
    "new.gguf": (lambda: gguf_of_type(1337), "'w' is .*unknown type 1337"),
}


@pytest.mark.parametrize("name", NO_TENSOR)
def test_a_file_that_holds_nothing_that_can_be_read_says_what_it_holds(
    name: str, tmp_path: Path
) -> None:
    made, words = NO_TENSOR[name]
    (tmp_path / name).write_bytes(made())
    with pytest.raises(FormatError, match=f"none of it can be read as a tensor: {words}"):
        read_state_dict(tmp_path / name)


def test_a_file_without_entries_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").write_bytes(pickle.dumps({}))
    (tmp_path / "date.pkl").write_bytes(pickle.dumps({"d": datetime.date(2026, 1, 2)}))
    assert list(read_state_dict(tmp_path / "date.pkl").others) == ["d"]
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"epoch": 3}))
    assert len(read_state_dict(tmp_path / "empty.pkl")) == 0
    assert read_state_dict(tmp_path / "plain.pkl").others == {"epoch": 3}
