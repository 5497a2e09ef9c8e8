from __future__ import annotations

from typing import Any

import pytest

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
        (b"\x95\5\0\0\0\0\0\0\0N.", "frame of 5 bytes should follow, and 2 do"),
    ],
)
def test_an_operation_that_does_not_fit_the_stack_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(data)
