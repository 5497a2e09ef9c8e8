"""What an entry of a layout's ``sizes`` stands for: a constant, or an expression of names.

================================  ==================================================
``8``, ``true``                   itself
``n_embd``                        what is known under the name
``2*n_embd + n_head``             a sum of products of numbers
``kinds == full``                 whether it is that text, for each element of a list
``n_head if kinds == full``       for each element the number, or 0
``n_used or 2``                   the first, or the JSON behind it if that is not known
================================  ==================================================
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import terms

Find = Callable[[str], Any]
_OR, _IF, _IS = " or ", " if ", "=="


def first(find: Find, *words: str) -> Any:
    """Return what is found under the first of several names that is known, or None."""
    return next((value for word in words if (value := find(word)) is not None), None)


class SizeExpression(NamedTuple):
    """The parts of an expression; those that it does not have are empty or None."""

    size: str
    names: str = ""
    meant: str = ""
    default: Any = None


@functools.cache
def parsed(text: str) -> SizeExpression:
    """Return the parts of an expression; LayoutError if it is not one.

    >>> parsed("n if kinds == full or 2")
    SizeExpression(size='n', names='kinds', meant='full', default=2)
    """
    rest, _, default = text.partition(_OR)
    size, given, condition = rest.rpartition(_IF) if _IF in rest else ("", "", rest)
    names, sign, meant = (each.strip() for each in condition.partition(_IS))
    try:
        value = json.loads(default) if default else None
    except ValueError:
        raise LayoutError(
            f"{text!r} has {default!r} behind 'or'; write a number or a text"
        ) from None
    if not sign:
        if given:
            raise LayoutError(
                f"{text!r} has an 'if' without '=='; write it as in 'n if kinds == a'"
            )
        terms(rest)
        return SizeExpression(rest.strip(), default=value)
    if size:
        terms(size)
    return SizeExpression(size.strip(), names, meant, value)


def value_of(size: Any, find: Find) -> Any:
    """Return what an entry stands for, or None if a name is not known.

    >>> known = {"n": 3, "m": 2, "kinds": ["a", "b"]}.get
    >>> [value_of(text, known) for text in ("4*n + m", "other or 5", "kinds == b")]
    [14, 5, [False, True]]
    >>> value_of("n if kinds == b", known), value_of(True, known), value_of("other", known)
    ([0, 3], True, None)
    """
    if not isinstance(size, str):
        return size
    expression = parsed(size)
    found = _found(expression, find)
    return expression.default if found is None else found


def _found(expression: SizeExpression, find: Find) -> Any:
    number = _number(expression.size, find) if expression.size else None
    if not expression.names:
        return number
    kinds = find(expression.names)
    if isinstance(kinds, str) and not expression.size:
        return kinds == expression.meant
    if not isinstance(kinds, (list, tuple)) or (expression.size and number is None):
        return None
    fits = [kind == expression.meant for kind in kinds]
    return [number if each else 0 for each in fits] if expression.size else fits


def _number(size: str, find: Find) -> Any:
    if size.isidentifier():
        return find(size)
    factors = [(constant, [find(name) for name in names]) for constant, names in terms(size)]
    if not all(isinstance(each, int) for _, found in factors for each in found):
        return None
    return sum(math.prod(found, start=constant) for constant, found in factors)
