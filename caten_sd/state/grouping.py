"""Group keys that differ only in their indices, so that many keys take few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from caten_sd.errors.printable import one_line, printable
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.wording import first_few

MAX_LINES = 20  # of a table on a screen
LONGEST_KEY = 200  # characters of a key or pattern in a message


class KeyGroup(NamedTuple):
    """Keys of one pattern, in order; its text is such as ``h.{0..11}.ln_1.bias x12``."""

    pattern: str
    keys: list[str]

    def __str__(self) -> str:
        pattern = printable(self.pattern)
        return pattern if len(self.keys) == 1 else f"{pattern} x{len(self.keys)}"


def group_keys(keys: Iterable[str]) -> list[KeyGroup]:
    """Group keys that differ only in their indices, and then those that differ in the last name.

    >>> [str(g) for g in group_keys(["h.0.w", "h.0.b", "h.1.w", "h.1.b", "wte"])]
    ['h.{0..1}.{w,b} x4', 'wte']
    """
    shapes: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        shapes.setdefault(tuple(INDEX_SEGMENT.split(key)), []).append(key)
    by_place: dict[tuple[str, ...], list[tuple[str, KeyGroup]]] = {}
    for members in shapes.values():
        pattern = _pattern(members)
        parent, _, name = pattern.rpartition(".")
        # Only groups with the same number of keys are joined.
        place = (parent, str(len(members))) if parent else (pattern, "")
        by_place.setdefault(place, []).append((name, KeyGroup(pattern, members)))
    return [_join(place[0], named) for place, named in by_place.items()]


def few_keys(keys: Iterable[str], most: int = 6, noun: str = "") -> str:
    """Return keys as a message lists them: their first ``most`` groups, and how many more.

    >>> few_keys(["h.0.w", "h.1.w", "wte", "wpe"], 2)
    'h.{0..1}.w x2, wte and 1 more'
    """
    return first_few([one_line(group, LONGEST_KEY) for group in group_keys(keys)], most, noun)


def _join(place: str, named: list[tuple[str, KeyGroup]]) -> KeyGroup:
    if len(named) == 1:
        return named[0][1]
    keys = [key for _, group in named for key in group.keys]
    return KeyGroup(f"{place}.{{{','.join(name for name, _ in named)}}}", keys)


def _pattern(keys: list[str]) -> str:
    """Return the pattern of keys that differ in indices, as ``{0..11}`` or ``{0,2,5}``."""
    columns: list[set[str]] = [set() for _ in keys[0].split(".")]
    for key in keys:
        for column, value in zip(columns, key.split("."), strict=True):
            column.add(value)
    return ".".join(map(_segment, columns))


def _segment(values: set[str]) -> str:
    unique = sorted(values, key=lambda value: (len(value), value))
    if len(unique) == 1:
        return unique[0]
    return "{" + ",".join(_runs([int(value) for value in unique])) + "}"


def _runs(numbers: list[int]) -> Iterator[str]:
    """Yield ``0..3`` for a run of numbers and ``7`` for a single one."""
    start = before = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != before + 1:
            yield str(start) if start == before else f"{start}..{before}"
            start = number
        before = number
