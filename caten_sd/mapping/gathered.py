"""The leaves that one rule takes together, and whether any of them is missing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup, Numbers
from caten_sd.mapping.operations import POSITION, Coordinates, Operand
from caten_sd.mapping.rules import Rule
from caten_sd.state.leaf import spec_or_none
from caten_sd.wording import first_few


class Item(NamedTuple):
    """A leaf between two layouts: its key by now, and the first key that it came from."""

    key: str
    leaf: Any
    origin: str
    foreign: bool = False  # no row takes it: it stays as it is
    plain: bool = True  # it was only renamed


class Gathered:
    """The leaves that one rule takes together, each at its coordinates."""

    def __init__(self, rule: Rule, captured: dict[str, str], origin: str) -> None:
        self.rule, self.captured, self.origin = rule, captured, origin
        self.operand: Operand = {}
        self.keys: dict[Coordinates, str] = {}

    def length(self, label: str) -> int:
        """Return how many of a stacked index there are."""
        return max(dict(at)[label] for at in self.keys) + 1

    def names(self) -> str:
        """Return the keys for a message, with their shapes."""
        specs = {self.keys[at]: spec_or_none(leaf) for at, leaf in self.operand.items()}
        texts = [f"{key} {list(known.shape)}" if known else key for key, known in specs.items()]
        return first_few(texts, 4)


def coordinates(rule: Rule, position: int, stacked: Sequence[tuple[str, str]]) -> Coordinates:
    """Return the coordinates of a leaf from its name's position and its stacked indices."""
    indices = [(label, int(index)) for label, index in stacked]
    return ((POSITION, position), *indices) if len(rule.inputs) > 1 else tuple(indices)


def check_lengths(
    counts: Mapping[str, int],
    counted: Mapping[str, str],
    groups: Iterable[Gathered],
    lookup: Lookup,
) -> None:
    """Refuse a count that differs from the declared one, and a stack shorter than others."""
    _check_counts(counts, counted, lookup)
    _check_alike(groups, counted, lookup)


def _check_counts(counts: Mapping[str, int], counted: Mapping[str, str], lookup: Lookup) -> None:
    """Refuse a count of keys that differs from the declared one."""
    for label, count in counts.items():
        name = counted[label]
        declared = lookup.find(name) if isinstance(lookup, Numbers) else None
        if count and isinstance(declared, int) and count != declared:
            raise LayoutError(
                f"{name} is {declared}, and the keys have {{{label}}} up to {count - 1}; add what "
                f"is missing, or correct {name}"
            )


def _check_alike(
    groups: Iterable[Gathered], counted: Collection[str], lookup: Lookup | None
) -> None:
    """Refuse a stack that is shorter than those of the same index elsewhere."""
    alike: dict[Any, list[tuple[int, str, Gathered]]] = {}
    for group in groups:
        for label in group.rule.stacked:
            # One number counts a label wherever it is; else only one rule's stacks are alike.
            kind = label if label in counted else (label, id(group.rule))
            alike.setdefault(kind, []).append((group.length(label), label, group))
    for stacks in alike.values():
        longest = max(length for length, _, _ in stacks)
        for length, label, group in stacks:
            if length < longest:
                indices = {**dict.fromkeys(group.rule.stacked, 0), label: length}
                key = group.rule.inputs[0].key({**group.captured, **indices}, lookup)
                raise LayoutError(
                    f"{key} is missing, and others have {{{label}}} up to {longest - 1}; add it"
                )


def check_complete(group: Gathered, lookup: Lookup | None) -> None:
    """Refuse leaves of which one is missing."""
    rule = group.rule
    if not rule.grouped:
        return
    lengths = [group.length(label) for label in rule.stacked]
    if len(group.keys) == math.prod(lengths) * len(rule.inputs):
        return
    many = len(rule.inputs) > 1
    seen = set()
    for at in group.keys:
        indices = dict(at)
        seen.add((indices.pop(POSITION) if many else 0, *indices.values()))
    missing = _missing(group, seen, lookup)
    raise LayoutError(f"{missing} belongs with it and is missing; add it, or remove both")


def _missing(group: Gathered, seen: set[tuple[int, ...]], lookup: Lookup | None) -> str:
    """Return the first missing key of those a rule takes together.

    A rule takes all of its input names, at all indices up to the largest. ``seen`` holds tuples of
    a position and the index of each stacked capture, in sorted order.
    """
    rule = group.rule
    stacked = sorted(rule.stacked)
    ranges = [range(len(rule.inputs))]
    ranges += [range(max(at[n] for at in seen) + 1) for n in range(1, len(stacked) + 1)]
    for at in _product(ranges):
        if at not in seen:
            indices = dict(zip(stacked, at[1:], strict=True))
            return rule.inputs[at[0]].key({**group.captured, **indices}, lookup)
    return ""


def _product(ranges: Sequence[range]) -> Iterator[tuple[int, ...]]:
    # itertools.product would first list each range, and an index in a file may be any number.
    if not ranges:
        yield ()
        return
    for first in ranges[0]:
        for rest in _product(ranges[1:]):
            yield (first, *rest)
