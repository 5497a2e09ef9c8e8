"""Rows over indices: what a converter does to one layer, said once for all layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from caten_sd import MatchedTensors
from caten_sd.layout import Operation, Stack

NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
SHIFTED = re.compile(r"\{(\w)\+(\w+)\}")  # an index that starts further on
HOLE = "\0"
PART = "{part:weight|bias}"
LETTERS = {"dec.": "j"}  # the index of what such a key begins with counts another number
_Identity = tuple[tuple[str, ...], tuple[str, ...], str]


@dataclass(frozen=True)
class FoundRow:
    """A row of two patterns, as found; ``seen`` has the keys of its canonical tensors."""

    canonical: tuple[str, ...]
    here: tuple[str, ...]
    operation: Operation
    seen: tuple[str, ...] = ()
    optional: bool = False
    in_some_layers: bool = False
    where: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether one tensor keeps its values."""
        return len(self.canonical) == len(self.here) == 1 and repr(self.operation) == "Identity()"

    @property
    def options(self) -> tuple[bool, bool]:
        """Whether a model may lack it, and a layer of a model that has it."""
        return self.optional, self.in_some_layers

    @property
    def identity(self) -> _Identity:
        """What two rows that are one have in common."""
        return self.canonical, self.here, repr(self.operation)


class _Entry(NamedTuple):
    canonical: list[int]
    here: list[int]
    seen: tuple[str, ...]


def rows_of(matches: Iterable[MatchedTensors], numbers: Mapping[str, int]) -> list[FoundRow]:
    """Return the rows that say what matches say, in the order in which they are met."""
    groups: dict[_Identity, tuple[MatchedTensors, list[_Entry]]] = {}
    for match in matches:
        canonical, here = _stacked(match), match.b
        key = (tuple(map(_holes, canonical)), tuple(map(_holes, here)), repr(match.operation))
        entry = _Entry(_indices(canonical[0]), _indices(here[0]), match.a)
        groups.setdefault(key, (match, []))[1].append(entry)
    found: dict[_Identity, FoundRow] = {}
    for (canonical, here, _), (match, entries) in groups.items():
        for row in _rows(canonical, here, match.operation, entries, numbers):
            known = found.get(row.identity)
            seen = (*known.seen, *row.seen) if known else row.seen
            found[row.identity] = replace(row, seen=seen)
    return [replace(row, where=_where(row, found.values())) for row in found.values()]


def _where(row: FoundRow, rows: Iterable[FoundRow]) -> str:
    """Return the condition without which a row would take the tensors of one further on."""
    for other in rows:
        shift = SHIFTED.search(other.here[0])
        if shift and SHIFTED.sub(r"{\1}", other.here[0]) == row.here[0]:
            return f"{shift[1]} < {shift[2]}"
    return ""


def _stacked(match: MatchedTensors) -> tuple[str, ...]:
    """Return the canonical names, those of a stack as one with a letter for the index."""
    if not isinstance(match.operation, Stack):
        return match.a
    parts = [re.split(NUMBER, key) for key in match.a]
    numbers = [_indices(key) for key in match.a]
    varied = next(n for n in range(len(numbers[0])) if len({each[n] for each in numbers}) > 1)
    filled = [str(number) for number in numbers[0]]
    filled[varied] = "{e}"
    return ("".join(f"{a}{b}" for a, b in zip(parts[0], [*filled, ""], strict=True)),)


def _rows(
    canonical: tuple[str, ...],
    here: tuple[str, ...],
    operation: Operation,
    entries: list[_Entry],
    sizes: Mapping[str, int],
) -> Iterable[FoundRow]:
    place, offset = _counted(entries)
    for entry in entries:
        letter = next((each for start, each in LETTERS.items() if here[0].startswith(start)), "i")
        word = f"{{{letter}}}" if place is not None else ""
        numbers = [str(number) for number in entry.canonical]
        others = [str(number) for number in entry.here]
        if place is not None:
            numbers[place] = word
            others[0] = word if offset == 0 else f"{{{letter}+{_named(offset, sizes)}}}"
        yield FoundRow(
            tuple(_filled(name, numbers) for name in canonical),
            tuple(_filled(name, others) for name in here),
            operation,
            entry.seen,
        )


def _named(offset: int, sizes: Mapping[str, int]) -> str:
    """Return the number of layers that an offset is, by its name, or the offset."""
    names = [name for name, size in sizes.items() if size == offset and "layer" in name]
    return names[0] if len(names) == 1 else str(offset)


def _counted(entries: Sequence[_Entry]) -> tuple[int | None, int]:
    """Return the place of the canonical index that the other side has, and how far it is off."""
    if not entries[0].here:
        return None, 0
    for place in range(len(entries[0].canonical)):
        offsets = {entry.here[0] - entry.canonical[place] for entry in entries}
        if len(offsets) == 1 and (len(entries) > 1 or offsets == {0}):
            return place, offsets.pop()
    return None, 0


def _filled(name: str, numbers: Sequence[str]) -> str:
    parts = name.split(HOLE)
    return "".join(f"{a}{b}" for a, b in zip(parts, [*numbers[: len(parts) - 1], ""], strict=True))


def _holes(key: str) -> str:
    return NUMBER.sub(HOLE, key)


def _indices(key: str) -> list[int]:
    return [int(text) for text in NUMBER.findall(key)]


def merged(rows: Sequence[FoundRow]) -> list[FoundRow]:
    """Return the rows with those of a weight and its bias as one, where both are only renamed.

    >>> from caten_sd.layout import Identity
    >>> a, b = (FoundRow((f"q.{p}",), (f"attn_q.{p}",), Identity()) for p in ("weight", "bias"))
    >>> merged([a, b])[0].canonical
    ('q.{part:weight|bias}',)
    """
    plain = {row.identity: row for row in rows if row.is_plain}
    found: list[FoundRow] = []
    for row in rows:
        other = _other_part(row)
        partner = plain.get(other.identity) if other and row.is_plain else None
        if partner is None or partner.options != row.options:
            found.append(row)
        elif row.canonical[0].endswith(".weight"):
            names = [
                f"{name[0].removesuffix('weight')}{{part:weight|bias}}"
                for name in (row.canonical, row.here)
            ]
            found.append(replace(row, canonical=(names[0],), here=(names[1],)))
    return found


def _other_part(row: FoundRow) -> FoundRow | None:
    ends = {".weight": ".bias", ".bias": ".weight"}
    for end, other in ends.items():
        if row.canonical[0].endswith(end) and row.here[0].endswith(end):
            names = [(name[0].removesuffix(end) + other,) for name in (row.canonical, row.here)]
            return replace(row, canonical=names[0], here=names[1])
    return None
