"""Which tensors of two states hold the same values: told by their fingerprints, then by names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from caten_sd.proof.fingerprints import level_of, ordered_levels
from caten_sd.proof.key_indices import parent
from caten_sd.proof.sums import Total, sums
from caten_sd.proof.weights import Bearer, SameValues, Weights


@dataclass
class Equal:
    """Tensors of A and of B that all hold the same values, so that values cannot pair them."""

    level: str
    a: list[str]
    b: list[str]
    is_constant: bool


@dataclass
class Pairing:
    """What was paired, what holds the same values several times, and what is left.

    ``repeated`` has a further tensor of a side for each key of the same side that it equals.
    """

    matches: list[SameValues] = field(default_factory=list)
    equal: list[Equal] = field(default_factory=list)
    a: dict[str, None] = field(default_factory=dict)
    b: dict[str, None] = field(default_factory=dict)
    repeated: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))

    def add(self, match: SameValues) -> None:
        """Add a match, and take its keys from those that are left."""
        self.matches.append(match)
        for left, keys in zip((self.a, self.b), match.keys, strict=True):
            for key in keys:
                left.pop(key, None)


def paired(a: Weights, b: Weights) -> Pairing:
    """Return which tensors hold the same values, as far as the values alone tell it."""
    found = Pairing(a=dict.fromkeys(a.specs), b=dict.fromkeys(b.specs))
    for level in ordered_levels([*a.levels, *b.levels]):
        _pair_single(a, b, level, found)
        _pair_sums(a, b, level, found)
    return found


def _pair_single(a: Weights, b: Weights, level: str, found: Pairing) -> None:
    here, there = _by_total(a, found.a, level), _by_total(b, found.b, level)
    for total, keys in here.items():
        others = there.get(total)
        if others is None or not _meet(a, keys, b, others, level):
            continue
        prints = a.prints[keys[0]]
        is_constant = prints.is_constant or prints.elements < 2
        if len(keys) == len(others) == 1 and not is_constant:
            found.add(SameValues((Bearer((keys[0],)),), (Bearer((others[0],)),), level))
            continue
        found.equal.append(Equal(level, keys, others, is_constant))
        for left, names in ((found.a, keys), (found.b, others)):
            for name in names:
                left.pop(name)


def _by_total(weights: Weights, keys: Iterable[str], level: str) -> dict[Total, list[str]]:
    found: dict[Total, list[str]] = {}
    for key in keys:
        known = weights.prints[key]
        total = known.sum(level)
        if total is not None:
            found.setdefault((known.elements, total), []).append(key)
    return found


def _meet(a: Weights, keys: list[str], b: Weights, others: list[str], level: str) -> bool:
    """Return whether one of the tensors is of the dtype in which they are equal."""
    dtypes = [a.specs[key].dtype for key in keys] + [b.specs[key].dtype for key in others]
    return level in map(level_of, dtypes)


def _pair_sums(a: Weights, b: Weights, level: str, found: Pairing) -> None:
    """Pair tensors that are joined, split or stacked."""
    for many, left, one, others, turned in (
        (a, found.a, b, found.b, False),
        (b, found.b, a, found.a, True),
    ):
        wanted = {
            total: keys[0]
            for total, keys in _by_total(one, others, level).items()
            if len(keys) == 1 and not one.prints[keys[0]].is_constant
        }
        if not wanted or not left:
            continue
        unsure: list[tuple[str, list[tuple[Bearer, ...]]]] = []
        for total, solutions in sums(many, left, level, wanted).items():
            unsure.append((wanted[total], solutions))
        # Those with one solution show which of several is meant elsewhere.
        for key, solutions in sorted(unsure, key=lambda each: len(each[1])):
            chosen = solutions if len(solutions) == 1 else _as_elsewhere(key, solutions, found)
            free = [c for c in chosen if all(k in left for bearer in c for k in bearer.keys)]
            if len(free) == 1 and key in others:
                match = SameValues(free[0], (Bearer((key,)),), level)
                found.add(match.turned() if turned else match)


def _as_elsewhere(
    key: str, solutions: list[tuple[Bearer, ...]], found: Pairing
) -> list[tuple[Bearer, ...]]:
    """Return the solutions of modules that are joined into the same module elsewhere."""
    known = set()
    for match in found.matches:
        for many, one in ((match.a, match.b), (match.b, match.a)):
            if len(one) == 1:
                known.add((parent(one[0].name), frozenset(parent(each.name) for each in many)))
    return [
        each
        for each in solutions
        if (parent(key), frozenset(parent(bearer.name) for bearer in each)) in known
    ]
