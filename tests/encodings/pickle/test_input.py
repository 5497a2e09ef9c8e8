"""A pickle is read in windows, of any size, and means what Python says it does."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd import FormatError, read_state_dict
from caten_sd.encodings.pickle import input as windows
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.state.backing import FileBacking
from caten_sd.state.source import open_file

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(max_size=90) | st.binary(max_size=90),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)  # fmt: skip


@given(value=PLAIN, protocol=st.integers(0, 5), size=st.integers(17, 200))
def test_a_value_does_not_depend_on_the_size_of_a_window(
    value: Any, protocol: int, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_FIRST", size)
        patch.setattr(windows, "_LARGEST", size)
        data = pickle.dumps(value, protocol)
        found = unpickle(data + b"rest", source_name="a.pkl")
    assert (found.value, found.end) == (value, len(data))


@given(data=st.binary(max_size=80), size=st.integers(17, 40))
def test_an_error_does_not_depend_on_the_size_of_a_window(data: bytes, size: int) -> None:
    def outcome() -> str:
        try:
            return repr(unpickle(data, source_name="a.pkl").end)
        except FormatError as error:
            return str(error)

    with pytest.MonkeyPatch.context() as patch:
        whole = outcome()
        patch.setattr(windows, "_FIRST", size)
        patch.setattr(windows, "_LARGEST", size)
        assert outcome() == whole


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_large_arrays_are_not_read_before_they_are_asked_for(tmp_path: Path, protocol: int) -> None:
    arrays = {f"w{n}": np.full((1024, 1024), n, "f4") for n in range(8)}
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(arrays, protocol))
    got = []
    with pytest.MonkeyPatch.context() as patch:
        read = FileBacking.read
        patch.setattr(FileBacking, "read", lambda *args: got.append(args[2]) or read(*args))
        patch.setattr(FileBacking, "view", None)
        found = read_state_dict(path)
    assert sum(got) < 1 << 20
    os.truncate(path, 9 << 20)
    with pytest.raises(FormatError, match=r"a\.pkl.*the file changed"):
        found["w1"].numpy()


def test_a_long_byte_string_is_a_window_of_its_file(tmp_path: Path) -> None:
    long = bytes(range(256)) * 300
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([long, bytearray(long), b"short"], 5))
    first, second, short = unpickle(open_file(path)).value
    assert [first.read(0, first.size), second.read(0, second.size), short] == [long, long, b"short"]


def test_a_claimed_length_is_compared_with_the_file(tmp_path: Path) -> None:
    for code, size in ((b"\x8d", 8), (b"\x8e", 8), (b"\x96", 8), (b"X", 4), (b"B", 4)):
        data = code + (2**31).to_bytes(size, "little") + bytes(70_000)
        with pytest.raises(FormatError, match="2,147,483,648 bytes should follow, and 70,000 do"):
            unpickle(data, source_name="a.pkl")
