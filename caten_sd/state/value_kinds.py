"""Tests of what a value is, for those who refuse values of other kinds; True is 1, as in Python."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def is_text(value: Any) -> bool:
    """Return whether a value is a text."""
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    """Return whether a value is True or False, of Python or of numpy."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number.

    >>> is_whole(3), is_whole(3.0)
    (True, False)
    """
    return isinstance(value, numbers.Integral)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number."""
    return isinstance(value, numbers.Real)


def are_all(values: Any, test: Callable[[Any], bool]) -> bool:
    """Return whether values can be walked, and each passes, as far as that takes nothing of them.

    >>> are_all(["a", "b"], is_text), are_all("ab", is_text), are_all(["a", 1], is_text)
    (True, False, False)
    """
    if isinstance(values, (str, bytes, bytearray)) or not isinstance(values, Iterable):
        return False
    return isinstance(values, Iterator) or all(map(test, values))
