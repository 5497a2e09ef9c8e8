"""Parse a JSON text, after counting what its values will take in memory.

Python takes 232 bytes for a dict of one entry, which a file has in 8, and 40 for a number of three
digits. What the parser keeps while it works counts too: each name once, and all of the text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from caten_sd.state.header_memory import HeaderMemory

_LIST, _DICT = 88, 232  # bytes of a container that has a few items
_ITEM = 9  # bytes of a place in a list, with those that it keeps free
_MEMBER = 66  # bytes of a place in a dict that has just grown
_TEXT, _NUMBER = 60, 32  # bytes of a short text, of a number
_NAME = _TEXT + _MEMBER  # bytes of a name, which the parser keeps to use it again

_NAMED = re.compile(rb'"([^"]*)"\s*:')
_PUNCTUATION, _OTHERS = b' \t\r\n[]{}:,"', b""
_PIECE = 1 << 16  # bytes that are split at a time
_BOM = b"\xef\xbb\xbf"


class ObjectSize(NamedTuple):
    """The bytes that an object of a JSON text takes, and each of its members: a dict, by default.

    A hook that makes tuples of nearly all objects counts those of the others itself.
    """

    itself: int = _DICT
    member: int = _MEMBER


_OF_DICTS = ObjectSize()


def parse_json(
    source_name: str, text: bytes, hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Return the value of a JSON text in UTF-8; FormatError before it takes too much memory.

    ``hook`` makes the objects from their members. ValueError if it is not JSON.

    >>> parse_json("a.json", b'{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    take_json(HeaderMemory(source_name, len(text)), text)
    decoded = text.removeprefix(_BOM).decode("utf-8", "surrogatepass")
    return json.loads(decoded, object_pairs_hook=hook)


def take_json(memory: HeaderMemory, text: bytes, size: ObjectSize = _OF_DICTS) -> None:
    """Take what the values of a JSON text need; FormatError if it is too much."""
    # The bytes and a copy of them, the decoded text, and the texts in it.
    memory.take((2 + 2 * _width(text)) * len(text))
    if _most(text, size) > memory.left:
        memory.take(_exactly(text, memory.left // _NAME + 1, size))


def _width(text: bytes) -> int:
    """Return how many bytes Python takes for each character, which the widest of them decides."""
    if text.isascii():
        return 1
    return 4 if re.search(rb"[\xf0-\xff]", text) else 2


def _most(text: bytes, size: ObjectSize = _OF_DICTS) -> int:
    """Return the most that the values can take, as if no punctuation were in a string."""
    names = text.count(b":")
    return _taken(_Counts().add(text), text.count(b'"') // 2, size) + _NAME * names


def _exactly(text: bytes, most_names: int, size: ObjectSize = _OF_DICTS) -> int:
    """Return what the values take; names are counted up to a number that is too many."""
    text = _without_quotes_in_strings(text)
    counts = _outside_strings(text)
    texts = text.count(b'"') // 2 - counts[b":"]
    return _taken(counts, texts, size) + _NAME * _distinct(text, most_names)


def _without_quotes_in_strings(text: bytes) -> bytes:
    """Return the text with control characters, which no string has, where a quote ends none."""
    return text.replace(b"\\\\", b"\1\1").replace(b'\\"', b"\2\2")


def _outside_strings(text: bytes) -> _Counts:
    counts, inside = _Counts(), 0
    for start in range(0, len(text), _PIECE):
        parts = text[start : start + _PIECE].split(b'"')
        counts.add(b" ".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return counts


class _Counts(Counter[bytes]):
    """How often each character of punctuation is in a text, and how many others there are."""

    def add(self, text: bytes) -> _Counts:
        """Count those of a piece of text."""
        for each in (b"[", b"{", b":", b","):
            self[each] += text.count(each)
        self[_OTHERS] += len(text.translate(None, _PUNCTUATION))
        return self


def _taken(counts: _Counts, texts: int, size: ObjectSize) -> int:
    items = counts[b","] + 1
    # The shortest number that is made, and not shared, is -6.
    numbers = min(max(items - texts, 0), counts[_OTHERS] // 2)
    containers = _LIST * counts[b"["] + size.itself * counts[b"{"]
    values = size.member * counts[b":"] + _TEXT * texts + _ITEM * items + _NUMBER * numbers
    return containers + values


def _distinct(text: bytes, most: int) -> int:
    """Return how many different names the text has, or ``most`` if there are more."""
    seen: set[int] = set()
    for found in _NAMED.finditer(text):
        seen.add(hash(found[1]))
        if len(seen) >= most:
            break
    return len(seen)
