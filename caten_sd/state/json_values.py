"""Values of a file as values of JSON that every parser takes.

- NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"
- an int of more than 64 bits is a string of hexadecimal digits
- a text with a lone surrogate is written as Python writes its literal
- of names that become equal, each further one gets a number
- any other value is its text
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from caten_sd.errors.printable import one_line, printable

MOST_NESTED = 100
_FIXED = {math.inf: "Infinity", -math.inf: "-Infinity"}


def json_values(value: Any) -> Any:
    """Return the value, and all that it holds, as values that JSON can hold.

    >>> json_values({"eps": float("nan"), 1: 2**70})
    {'eps': 'NaN', '1': '0x400000000000000000'}
    """
    return _plain(value, 0)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _FIXED.get(value, "NaN")
    if not isinstance(value, (Mapping, list, tuple)):
        return one_line(value)
    if depth == MOST_NESTED:
        return f"nested in more than {MOST_NESTED} others"
    if isinstance(value, Mapping):
        return _object(value, depth + 1)
    return [_plain(each, depth + 1) for each in value]


def _object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for key, each in value.items():
        name = wanted = str(_plain(key, 0))
        number = 1
        while name in names:
            number += 1
            name = f"{wanted} ({number})"
        names[name] = _plain(each, depth)
    return names


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return printable(text)
    return text
