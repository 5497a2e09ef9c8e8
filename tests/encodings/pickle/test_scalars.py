from __future__ import annotations

import pickle
from typing import Any

import pytest

from caten_sd.encodings.pickle.input import SHARED
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.encodings.pickle.scalars import MAX_DIGITS
from caten_sd.errors import FormatError


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


def test_strings_of_python_2() -> None:
    assert read(b"U\x03abc.") == "abc"
    assert read(b"T\x02\0\0\0\xff\xfe.") == b"\xff\xfe"
    assert read(b"S'a\\n\\x41\\101\\'\\q'\n.") == "a\nAA'\\q"
    assert read(b'S"\\xff\\t"\n.') == b"\xff\t"
    assert read(b"(dp0\nS'a'\np1\nI01\nsS'b'\nL5L\ns.") == {"a": True, "b": 5}


def test_a_small_byte_string_is_copied() -> None:
    data = pickle.dumps([bytes(SHARED - 1), bytearray(SHARED - 1)], 5)
    assert list(map(type, unpickle(data, source_name="a.pkl").value)) == [bytes, bytearray]


def test_text_and_bytes_of_other_protocols() -> None:
    assert read(b"Vab\\u00e9\n.") == "abé"
    assert read(b"\x96\1\0\0\0\0\0\0\0a\x98.") == bytearray(b"a")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"I" + b"9" * (MAX_DIGITS + 1) + b"\n.", f"an integer of {MAX_DIGITS + 1} digits"),
        (b"U\5abc.", "5 bytes should follow, and 4 do"),
        (b"Sabc\n.", "not in quotes"),
    ],
)
def test_an_operand_that_cannot_be_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(data)
