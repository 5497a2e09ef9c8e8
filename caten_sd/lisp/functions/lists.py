"""Lists, pairs and vectors: how they are made and taken apart."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.arithmetic import checked_integer
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.syntax.datum import Character, Symbol

LONGEST_LIST = 100_000


class Pair(tuple[Any, Any]):
    """A pair whose second item is not a list; its items are state under 0 and 1."""

    __slots__ = ()

    def __new__(cls, car: Any, cdr: Any) -> Pair:
        """Return the pair of two values."""
        return super().__new__(cls, (car, cdr))

    def __getnewargs__(self) -> tuple[Any, Any]:
        """Return the two values, from which a copy is made."""
        return self.car, self.cdr

    @property
    def car(self) -> Any:
        """The first value."""
        return self[0]

    @property
    def cdr(self) -> Any:
        """The second value."""
        return self[1]


class LispList(list[Any]):
    """A list; the first ``own`` items are in cells that no other list has."""

    own: int = LONGEST_LIST


def own_items(value: Any) -> int:
    """Return how many of the first items of a list are in cells that no other list has."""
    return value.own if isinstance(value, LispList) else LONGEST_LIST


def share(value: Any, own: int) -> Any:
    """Record that only the first items of a list are in cells of its own, and return it."""
    if isinstance(value, LispList):
        value.own = min(value.own, own)
    return value


class Vector(list[Any]):
    """A vector; as a list it is state here, and it is none in Caten."""


def as_list(items: Iterable[Any]) -> list[Any] | None:
    """Return items as a list of Lisp; that of none is nil."""
    found = LispList(itertools.islice(items, LONGEST_LIST + 1))
    if len(found) > LONGEST_LIST:
        raise ModelError(f"a list has more than {LONGEST_LIST:,} items; make a shorter one")
    return found or None


def items_in(value: Any) -> list[Any]:
    """Return the items of a list, none for nil; ModelError for any other value."""
    if value is None:
        return []
    if is_list(value):
        return value  # type: ignore[no-any-return]
    raise ModelError(f"{text_of(value)} is not a list; pass a list")


def elements(value: Any) -> list[Any]:
    """Return the items of a list, a vector or a string."""
    if isinstance(value, str):
        return list(map(Character, value))
    return list(value) if isinstance(value, Vector) else items_in(value)


def cons(first: Any, rest: Any) -> Any:
    """Return a list with one item more at its front, or a pair."""
    return list_before(rest, first)


def list_before(rest: Any, *items: Any) -> Any:
    """Return a list of items and of those of another; pairs if that is not a list."""
    if not items:
        return rest
    if rest is None or is_list(rest):
        found = as_list([*items, *(rest or [])])
        return found if share(rest, 0) is None else share(found, len(items))
    return reduce(lambda reached, item: Pair(item, reached), reversed(items), rest)


def is_list(value: Any) -> bool:
    """Return whether a value is a list with items."""
    return isinstance(value, list) and not isinstance(value, Vector)


def is_pair(value: Any) -> bool:
    """Return whether a value has a first item and a rest."""
    return isinstance(value, Pair) or is_list(value)


def car(value: Any) -> Any:
    """Return the first item of a list or a pair; that of nil is nil."""
    if isinstance(value, Pair):
        return value.car
    return next(iter(items_in(value)), None)


def cdr(value: Any) -> Any:
    """Return a list without its first item, or the second item of a pair."""
    return value.cdr if isinstance(value, Pair) else tail(value, 1)


def tail(value: Any, start: int) -> Any:
    """Return the end of a list from an index on; its items are in the cells of that list."""
    items = items_in(value)
    if not start or start >= len(items):
        return None if start else value
    share(value, start)
    return share(LispList(items[start:]), 0)


def may_be_one(first: Any, second: Any) -> bool:
    """Return whether two values may be the same cells of a list, which is not recorded."""
    if first is second or not (is_list(first) and is_list(second) and len(first) == len(second)):
        return False
    return not own_items(first) and not own_items(second) and all(map(operator.is_, first, second))


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
    return tail(value, max(len(items_in(value)) - checked_index(count), 0))


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
        return "".join(each.text for each in items)
    return Vector(items) if isinstance(value, Vector) else as_list(items)


def append(*lists: Any) -> Any:
    """Return a list of the items of several; the last one may be another value."""
    *before, rest = lists or (None,)
    return list_before(rest, *itertools.chain.from_iterable(map(items_in, before)))


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
    "LIST*": lambda first, *items: list_before(*(first, *items)[::-1][:1], *(first, *items)[:-1]),
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
    "NTHCDR": lambda index, value: tail(value, checked_index(index)),
    "ELT": element,
    "AREF": element,
    "SVREF": element,
    "LAST": last,
    "BUTLAST": butlast,
    "SUBSEQ": subsequence,
    "LENGTH": lambda value: len(elements(value)),
    "LIST-LENGTH": lambda value: len(items_in(value)),
    "REVERSE": lambda value: like(value, elements(value)[::-1]),
    "COPY-LIST": lambda value: as_list(items_in(value)),
    "APPEND": append,
    "MAKE-LIST": make_list,
    "GETF": property_of,
    "RANGE": number_range,
    "FLATTEN": flatten,
}
