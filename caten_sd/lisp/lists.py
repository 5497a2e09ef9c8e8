"""Lists, pairs and vectors: how they are made and taken apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

from caten_sd.errors import ModelError
from caten_sd.lisp.arithmetic import checked_integer
from caten_sd.lisp.datum import Symbol
from caten_sd.lisp.scopes import Function, text_of

LONGEST_LIST = 100_000


class Pair(NamedTuple):
    """A pair whose second item is not a list; its items are state under 0 and 1."""

    car: Any
    cdr: Any


class Vector(list[Any]):
    """A vector; as a list it is state here, and it is none in Caten."""


def as_list(items: Iterable[Any]) -> list[Any] | None:
    """Return items as a list of Lisp; that of none is nil."""
    found = list(itertools.islice(items, LONGEST_LIST + 1))
    if len(found) > LONGEST_LIST:
        raise ModelError(f"a list has more than {LONGEST_LIST:,} items; make a shorter one")
    return found or None


def items_in(value: Any) -> list[Any]:
    """Return the items of a list, none for nil; ModelError for any other value."""
    if value is None:
        return []
    if isinstance(value, list) and not isinstance(value, Vector):
        return value
    raise ModelError(f"{text_of(value)} is not a list; pass a list")


def elements(value: Any) -> list[Any]:
    """Return the items of a list, a vector or a string."""
    return list(value) if isinstance(value, (Vector, str)) else items_in(value)


def cons(first: Any, rest: Any) -> Any:
    """Return a list with one item more at its front, or a pair."""
    if rest is None or (isinstance(rest, list) and not isinstance(rest, Vector)):
        return as_list([first, *(rest or [])])
    return Pair(first, rest)


def car(value: Any) -> Any:
    """Return the first item of a list or a pair; that of nil is nil."""
    if isinstance(value, Pair):
        return value.car
    return next(iter(items_in(value)), None)


def cdr(value: Any) -> Any:
    """Return a list without its first item, or the second item of a pair."""
    return value.cdr if isinstance(value, Pair) else items_in(value)[1:] or None


def _path(letters: str) -> Function:
    """Return the function that ``c...r`` is."""
    steps = [car if letter == "A" else cdr for letter in reversed(letters)]
    return lambda value: reduce(lambda reached, step: step(reached), steps, value)


def nth(index: Any, value: Any) -> Any:
    """Return the item at an index, or nil if the list is shorter."""
    items, at = items_in(value), checked_index(index)
    return items[at] if at < len(items) else None


def element(value: Any, index: Any) -> Any:
    """Return the item of a list or a vector at an index."""
    items, at = elements(value), checked_index(index)
    if at >= len(items):
        raise ModelError(f"{text_of(value)} has no item {at}; pass an index below {len(items)}")
    return items[at]


def checked_index(value: Any) -> int:
    """Return an integer that is not negative; ModelError for any other value."""
    index = checked_integer(value)
    if index < 0:
        raise ModelError(f"the index {index} is negative; pass one of at least 0")
    return index


def last(value: Any, count: Any = 1) -> Any:
    """Return the end of a list."""
    items, kept = items_in(value), checked_index(count)
    return items[len(items) - min(kept, len(items)) :] or None


def butlast(value: Any, count: Any = 1) -> Any:
    """Return a list without its end."""
    items = items_in(value)
    return items[: max(len(items) - checked_index(count), 0)] or None


def subsequence(value: Any, start: Any, end: Any = None) -> Any:
    """Return the items from one index up to another."""
    items = elements(value)
    stop = len(items) if end is None else checked_index(end)
    if not checked_index(start) <= stop <= len(items):
        raise ModelError(f"{start} to {stop} is not in a list of {len(items)}; correct the indices")
    return like(value, items[start:stop])


def like(value: Any, items: Iterable[Any]) -> Any:
    """Return items as the kind of sequence that a value is."""
    if isinstance(value, str):
        return "".join(items)
    return Vector(items) if isinstance(value, Vector) else as_list(items)


def append(*lists: Any) -> Any:
    """Return a list of the items of several."""
    return as_list(itertools.chain.from_iterable(map(items_in, lists)))


def make_list(size: Any, *options: Any) -> Any:
    """Return a list of one item, several times."""
    given = keys_of(options, "INITIAL-ELEMENT")
    return as_list(itertools.repeat(given.get("INITIAL-ELEMENT"), checked_index(size)))


def keys_of(options: Iterable[Any], *known: str) -> dict[str, Any]:
    """Return the values of keyword arguments by name; ModelError for one that is not known."""
    given = list(options)
    found: dict[str, Any] = {}
    for key, value in itertools.zip_longest(given[::2], given[1::2]):
        if not isinstance(key, Symbol) or not key.is_keyword or key.name not in known:
            names = ", ".join(f":{each.lower()}" for each in known) or "no keys"
            raise ModelError(f"{text_of(key)} is not a key of this function; it takes {names}")
        found.setdefault(key.name, value)
    if len(given) % 2:
        raise ModelError(f"{text_of(given[-1])} has no value; pass one")
    return found


def number_range(start: Any, end: Any = None, step: Any = 1) -> Any:
    """Return the integers from one up to another."""
    first, stop = (0, start) if end is None else (start, end)
    return as_list(range(*map(checked_integer, (first, stop, step))))


def flatten(value: Any) -> Any:
    """Return the items of lists in lists as one list."""
    found: list[Any] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += reversed(each)
        elif each is not None:
            found.append(each)
        if len(found) + len(waiting) > LONGEST_LIST:
            raise ModelError(f"a list has more than {LONGEST_LIST:,} items; make a shorter one")
    return as_list(found)


def property_of(value: Any, name: Any, default: Any = None) -> Any:
    """Return what follows a name in a list of names and values."""
    items = items_in(value)
    return next((b for a, b in zip(items[::2], items[1::2], strict=False) if a == name), default)


FUNCTIONS: Mapping[str, Function] = {
    "LIST": lambda *items: as_list(items),
    "LIST*": lambda *items: reduce(lambda rest, item: cons(item, rest), items[::-1]),
    "VECTOR": lambda *items: Vector(items),
    "CONS": cons,
    **{
        f"C{letters}R": _path(letters)
        for n in (1, 2, 3)
        for letters in ("".join(each) for each in itertools.product("AD", repeat=n))
    },
    **{
        name: partial(nth, at)
        for at, name in enumerate(["FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH"])
    },
    "REST": cdr,
    "NTH": nth,
    "NTHCDR": lambda index, value: items_in(value)[checked_index(index) :] or None,
    "ELT": element,
    "AREF": element,
    "SVREF": element,
    "LAST": last,
    "BUTLAST": butlast,
    "SUBSEQ": subsequence,
    "LENGTH": lambda value: len(elements(value)),
    "LIST-LENGTH": lambda value: len(items_in(value)),
    "REVERSE": lambda value: like(value, elements(value)[::-1]),
    "NREVERSE": lambda value: like(value, elements(value)[::-1]),
    "COPY-LIST": lambda value: as_list(items_in(value)),
    "APPEND": append,
    "NCONC": append,
    "MAKE-LIST": make_list,
    "GETF": property_of,
    "RANGE": number_range,
    "FLATTEN": flatten,
}
