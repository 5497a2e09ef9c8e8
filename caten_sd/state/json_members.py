"""Read the members of a JSON object one at a time, from a part of its text.

An object of a million small members takes ten times its text when it is made at once. Here each
member can be dropped before the next is made. The part grows where a member is longer.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import Any

from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.json_text import take_json

_FIRST = 1 << 16  # bytes of a part; no value in so few takes much memory
_SPACE = r"[ \t\n\r]*"
_COLON = re.compile(rf"{_SPACE}:{_SPACE}")
_AFTER = re.compile(rf"{_SPACE}(?:(,){_SPACE}(?=[^ \t\n\r])|\}}{_SPACE})")
_OPEN = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*")
_EMPTY = re.compile(_OPEN.pattern + rb"\}[ \t\n\r]*")

_Decode = Callable[[str, int], tuple[Any, int]]


def members_of(source_name: str, text: bytes, decoder: JSONDecoder) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each member of the object that a text in UTF-8 holds.

    A name may come twice. ValueError where the text is not such an object, FormatError before a
    member takes too much memory.

    >>> list(members_of("a.json", b'{"a": 1, "b": [2]}', JSONDecoder()))
    [('a', 1), ('b', [2])]
    """
    excerpt, more = _Excerpt(source_name, text), not _EMPTY.fullmatch(text)
    while more:
        try:
            name, value, at, more = _member(decoder.raw_decode, excerpt.shown, excerpt.at)
        except JSONDecodeError as error:
            excerpt.move(error)
            continue
        excerpt.at = at
        if not more:
            excerpt.check_end()
        yield name, value


def _member(decode: _Decode, text: str, at: int) -> tuple[str, Any, int, bool]:
    """Return a name, its value, the position of the next, and whether there is a next.

    JSONDecodeError where the text ends too early, or is not JSON.
    """
    name, at = decode(text, at)
    if type(name) is not str or not (colon := _COLON.match(text, at)):
        raise JSONDecodeError("Expecting a name in double quotes and ':'", text, at)
    value, at = decode(text, colon.end())
    if not (after := _AFTER.match(text, at)):
        raise JSONDecodeError("Expecting ',' delimiter", text, at)
    return name, value, after.end(), after[1] is not None


class _Excerpt:
    """A part of the text, as ``shown``; what is before the character ``at`` has been read."""

    def __init__(self, source_name: str, text: bytes) -> None:
        self._source_name, self._text = source_name, text
        opened = _OPEN.match(text)
        if not opened:
            raise ValueError("it does not begin with {")
        self._end = opened.end()  # the byte at which the part ends
        self._passed = self._end  # characters before the part
        self.shown, self.at = "", 0

    def move(self, error: JSONDecodeError) -> None:
        """Show the member that is not here as a whole; ValueError at the end of the text."""
        if self._end == len(self._text):
            raise ValueError(f"{error.msg} at character {self._passed + error.pos:,}") from error
        size = len(self.shown[self.at :].encode())
        self._passed += self.at
        self.shown, self.at = "", 0  # before more of it takes memory
        self._show(self._end - size, size + max(_FIRST, size) + 4)  # 4 bytes: a character at least

    def _show(self, begin: int, size: int) -> None:
        part = self._text[begin : begin + size]
        if size > 2 * _FIRST:
            take_json(HeaderMemory(self._source_name, len(self._text)), part)
        try:
            is_last = begin + size >= len(self._text)
            self.shown, length = codecs.utf_8_decode(part, "strict", is_last)
        except UnicodeDecodeError as error:
            at = begin + error.start
            raise ValueError(f"its byte {at:,} is not UTF-8 ({error.reason})") from error
        self._end = begin + length

    def check_end(self) -> None:
        """Raise ValueError unless only spaces follow the object."""
        if self.shown[self.at :] or self._text[self._end :].strip(b" \t\n\r"):
            raise ValueError(f"Extra data at character {self._passed + self.at:,}")
