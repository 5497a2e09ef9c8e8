from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.errors import FormatError


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


def test_opcodes_that_picklers_no_longer_write() -> None:
    assert read(b"(NNd.") == {None: None}
    assert read(b"(K\1K\2l.") == [1, 2]
    assert read(b"K\1(K\2K\x031.") == 1
    assert read(b"K\1(0.") == 1
    assert read(b"K\x012\x86.") == (1, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\xc8N.", "protocol 200"),
        (b"Np-1\n.", "index of the memo is not a number"),
        (b"}(U\1aK\1U\1aK\2u.", "given twice"),
        (b"}(Nu.", "key has no value"),
        (b"}Na.", "appended to a dict"),
        (b"]K\0Ns.", "set on a list"),
        (b"](K\1\x90.", "added to a list"),
        (b"\x95\5\0\0\0\0\0\0\0N.", "5 bytes should follow, and 2 do"),
    ],
)
def test_an_operation_that_does_not_fit_the_stack_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(data)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255)), min_size=1, max_size=30))
def test_the_memo_takes_indices_in_any_order(puts: list[tuple[int, int]]) -> None:
    data = b"(" + b"".join(bytes([75, value, 113, index]) for index, value in puts)
    data += b"".join(bytes([104, index]) for index, _ in puts) + b"t."
    assert read(data) == pickle.loads(data)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 3))
def test_memoize_takes_the_next_index_after_any_puts(puts: list[bool], first: int) -> None:
    data = b"\x80\4(K\0" + bytes([113, first])
    data += b"".join(b"K" + bytes([n + 1]) + b"\x94" for n in range(len(puts)))
    data += b"".join(bytes([104, n]) for n in range(first, len(puts)) if n in _known(data)) + b"t."
    assert read(data) == pickle.loads(data)


def _known(data: bytes) -> set[int]:
    """Return the indices that Python's own reader has in its memo at the end."""
    reader = pickle._Unpickler(io.BytesIO(data + b"t."))
    reader.load()
    return set(reader.memo)


def test_what_the_memo_lacks_is_refused() -> None:
    for data in (b"h\0.", b"Nq\1h\0.", b"Nq\5h\4.", b"Nq\0h\1."):
        with pytest.raises(FormatError, match="malformed"):
            read(data)
