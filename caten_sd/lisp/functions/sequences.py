"""Functions that take functions: over the items of lists, vectors and strings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, reduce
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.destructive import joined, sorted_in_place
from caten_sd.lisp.functions.lisp_values import Function, MultipleValues, first_value, text_of
from caten_sd.lisp.functions.lists import (
    Vector,
    as_list,
    car,
    elements,
    items_in,
    keys_of,
    like,
    tail,
)
from caten_sd.lisp.functions.predicates import eql, is_true, truth
from caten_sd.lisp.syntax.datum import Symbol


def checked_function(value: Any) -> Function:
    """Return a function; ModelError for any other value."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise ModelError(f"{text_of(value)} is not a function; pass one, as #'name")


def mapped(
    function: Any, *lists: Any, items: Callable[[Any], list[Any]] = elements
) -> Iterator[Any]:
    """Yield what a function gives for the first items of lists, the second ones, and so on."""
    if not lists:
        raise ModelError("there is no list to map over; pass one")
    return map(first_value, map(checked_function(function), *map(items, lists)))


_mapped_lists = partial(mapped, items=items_in)


def map_into_kind(kind: Any, function: Function, *lists: Any) -> Any:
    """Return a list or a vector of what a function gives."""
    name = kind.name if isinstance(kind, Symbol) else text_of(kind)
    if name not in ("LIST", "VECTOR"):
        raise ModelError(f"map to {name.lower()} is not known; map to 'list or 'vector")
    found = mapped(function, *lists)
    return as_list(found) if name == "LIST" else Vector(as_list(found) or [])


def reduced(function: Function, value: Any, *options: Any) -> Any:
    """Return what a function of two gives over a list, from its start."""
    given = keys_of(options, "INITIAL-VALUE", "FROM-END")
    items = elements(value)
    if is_true(given.get("FROM-END")):
        items, inner = items[::-1], function
        function = lambda a, b: inner(b, a)  # noqa: E731
    start = [given["INITIAL-VALUE"]] if "INITIAL-VALUE" in given else []
    if not start and not items:
        return function()
    return reduce(lambda a, b: first_value(function(a, b)), items, *start)


def _filtered(function: Function, value: Any, *, kept: bool) -> Any:
    return like(value, [each for each in elements(value) if is_true(function(each)) == kept])


def sort(value: Any, before: Function, *options: Any) -> Any:
    """Return a list in the order that a function of two gives, in the cells that it has."""
    key = keys_of(options, "KEY").get("KEY") or (lambda each: each)

    return sorted_in_place(value, lambda each: _Rank(first_value(key(each)), before))


class _Rank:
    """The place of an item among others, as a function of two has it."""

    __slots__ = ("before", "value")

    def __init__(self, value: Any, before: Function) -> None:
        self.value, self.before = value, before

    def __lt__(self, other: _Rank) -> bool:
        return is_true(self.before(self.value, other.value))


def member(item: Any, value: Any, *options: Any) -> Any:
    """Return the list from an item on, or nil if it is not there."""
    same = _same(options)
    items = items_in(value)
    return next((tail(value, at) for at, each in enumerate(items) if same(item, each)), None)


def position(item: Any, value: Any, *options: Any) -> Any:
    """Return the index of an item, or nil if it is not there."""
    same = _same(options)
    return next((at for at, each in enumerate(elements(value)) if same(item, each)), None)


def find(item: Any, value: Any, *options: Any) -> Any:
    """Return an item that is in a list, or nil if it is not there."""
    same = _same(options)
    return next((each for each in elements(value) if same(item, each)), None)


def count(item: Any, value: Any, *options: Any) -> int:
    """Return how often an item is in a list."""
    same = _same(options)
    return sum(same(item, each) for each in elements(value))


def association(item: Any, value: Any, *options: Any) -> Any:
    """Return the pair of a list that begins with an item, or nil."""
    same = _same(options)
    pairs = (each for each in items_in(value) if each is not None)
    return next((each for each in pairs if same(item, car(each))), None)


def _same(options: Iterable[Any]) -> Callable[[Any, Any], bool]:
    given = keys_of(options, "TEST", "KEY")
    test, key = given.get("TEST") or eql, given.get("KEY") or (lambda each: each)
    return lambda item, each: is_true(test(item, first_value(key(each))) or None)


def applied(function: Function, *arguments: Any) -> Any:
    """Call a function; the last argument is the list of those that follow the others."""
    if not arguments:
        raise ModelError("apply has no list of arguments; pass one")
    return checked_function(function)(*arguments[:-1], *items_in(arguments[-1]))


def _some(function: Function, *lists: Any) -> Any:
    return next((found for found in mapped(function, *lists) if found is not None), None)


def _joined(kind: Any, *lists: Any) -> Any:
    return map_into_kind(kind, lambda each: each, [each for x in lists for each in elements(x)])


FUNCTIONS: Mapping[str, Function] = {
    "CONCATENATE": _joined,
    "MAPCAR": lambda function, *lists: as_list(_mapped_lists(function, *lists)),
    "MAPCAN": lambda function, *lists: joined(*_mapped_lists(function, *lists)),
    "MAPC": lambda function, *lists: [list(_mapped_lists(function, *lists)), lists[0]][1],
    "MAP": map_into_kind,
    "REDUCE": reduced,
    "REMOVE-IF": partial(_filtered, kept=False),
    "REMOVE-IF-NOT": partial(_filtered, kept=True),
    "REMOVE": lambda item, value: _filtered(
        lambda each: eql(item, each) or None, value, kept=False
    ),
    "SORT": sort,
    "MEMBER": member,
    "POSITION": position,
    "FIND": find,
    "COUNT": count,
    "ASSOC": association,
    "EVERY": truth(lambda function, *lists: all(is_true(x) for x in mapped(function, *lists))),
    "SOME": _some,
    "NOTANY": truth(lambda function, *lists: _some(function, *lists) is None),
    "FUNCALL": lambda function, *arguments: checked_function(function)(*arguments),
    "APPLY": applied,
    "IDENTITY": lambda value: value,
    "CONSTANTLY": lambda value: lambda *_: value,
    "COMPLEMENT": lambda function: lambda *values: None if is_true(function(*values)) else True,
    "VALUES": lambda *values: MultipleValues(values),
    "VALUES-LIST": lambda value: MultipleValues(items_in(value)),
}

# Which argument is a function; a symbol there names one, as in (mapcar 'car pairs).
DESIGNATORS: Mapping[str, int] = {
    **dict.fromkeys(["MAPCAR", "MAPCAN", "MAPC", "REDUCE", "REMOVE-IF", "REMOVE-IF-NOT"], 0),
    **dict.fromkeys(["EVERY", "SOME", "NOTANY", "FUNCALL", "APPLY", "COMPLEMENT"], 0),
    **dict.fromkeys(["MAP", "SORT"], 1),
}
