"""Which key is missing of those that the indices of others require."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.conditions import hold
from caten_sd.mapping.seen_indices import Indices, SeenName, by_label


def first_absent(names: Sequence[SeenName], lookup: Lookup | None) -> str:
    """Return what says which key is missing, or which index between others; "" if none is.

    Without a lookup, rows with conditions on named numbers are not looked at.
    """
    every = by_label(names)
    faults = _gaps(every), _apart(names), _required(names, lookup), _halves(names)
    return next(itertools.chain(*faults), "")


def _gaps(every: Mapping[str, Mapping[int, SeenName]]) -> Iterator[str]:
    """Yield for each label the first index that no rule has seen, though larger ones are."""
    for label, found in every.items():
        first, last = min(found), max(found)
        if len(found) <= last - first:
            missing = next(n for n in range(first, last) if n not in found)
            after = min(n for n in found if n > missing)
            taken = _taken(found[after], _key_with(found[after], label, after))
            yield f"{taken}, and no row takes a key with {{{label}}} = {missing}"


def _apart(names: Sequence[SeenName]) -> Iterator[str]:
    """Yield for each name of several labels the first indices that are not together."""
    for name in names:
        axes = [sorted({each[at] for each in name.seen}, key=int) for at in range(len(name.labels))]
        if len(axes) > 1 and len(name.seen) < math.prod(map(len, axes)):
            missing = next(each for each in itertools.product(*axes) if each not in name.seen)
            alike = max(name.seen, key=lambda each: _agreeing(each, missing))
            wanted = zip(name.labels, missing, strict=True)
            indices = " and ".join(f"{{{label}}} = {index}" for label, index in wanted)
            yield f"{_taken(name, name.seen[alike])}, and none with {indices}"


def _required(names: Sequence[SeenName], lookup: Lookup | None) -> Iterator[str]:
    """Yield for each name that is required the first key that it lacks at an index of others."""
    stacks: dict[tuple[str, str], list[SeenName]] = {}
    for name in names:
        for label in name.labels:
            stacks.setdefault((label, name.stem(label)), []).append(name)
    for (label, _), group in stacks.items():
        yield from _lacking(group, label, by_label(group)[label], lookup)


def _lacking(
    names: Sequence[SeenName], label: str, every: Mapping[int, SeenName], lookup: Lookup | None
) -> Iterator[str]:
    """Yield the keys that required names of one list of layers lack."""
    for name in names:
        row = name.rule.row
        if row.optional or row.in_some_layers or not name.is_certain:
            continue
        where = tuple(each for each in name.pattern.where if each.name == label)
        if lookup is None and not all(each.bound.isdecimal() for each in where):
            continue
        at = name.labels.index(label)
        mine = {int(each[at]) for each in name.seen}
        for missing in sorted(every.keys() - mine):
            if hold(where, {label: missing}, lookup):
                other = _key_with(every[missing], label, missing)
                yield _missing(name, {label: str(missing)}, other)


def _halves(names: Sequence[SeenName]) -> Iterator[str]:
    """Yield the first key that a module of one layer lacks and those of other layers have."""
    modules: dict[tuple[object, ...], list[SeenName]] = {}
    for name in names:
        if name.is_certain and (module := name.module):
            place = module, name.labels, name.pattern.where
            modules.setdefault(place, []).append(name)
    for group in modules.values():
        every = {each: name for name in group for each in name.seen}
        for name in group if len(group) > 1 else ():
            if len(name.seen) < len(every):
                missing = min(every.keys() - name.seen.keys(), key=lambda each: [*map(int, each)])
                indices = dict(zip(name.labels, missing, strict=True))
                yield _missing(name, indices, every[missing].seen[missing])


def _missing(name: SeenName, indices: Mapping[str, str], other: str) -> str:
    return f"{name.key(indices)} of row ({name.rule.row}) is missing, and {other} is there"


def _taken(name: SeenName, key: str) -> str:
    return f"row ({name.rule.row}) takes {key}"


def _key_with(name: SeenName, label: str, index: int) -> str:
    at = name.labels.index(label)
    return next(key for indices, key in name.seen.items() if int(indices[at]) == index)


def _agreeing(one: Indices, other: Indices) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))
