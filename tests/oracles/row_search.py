"""Find what a converter did to each tensor of a pair, from the values alone.

A tensor is known by a sum over its elements that is blind to their order. Sums add up, so a part,
a stack and a fusion are found without a trial of orders. The operation is then one that gives the
very values.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caten_sd.extend import Numpy, as_array
from caten_sd.layout import Chain, Identity, NegExp, Offset, Operation, Stack, Trim
from caten_sd.mapping.operations import POSITION
from tests.oracles.candidates import Numbers, arrangements, joins, splits

Arrays = Mapping[str, np.ndarray]
NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Match:
    """Tensors of one side, those of the other, and the operation between them."""

    canonical: tuple[str, ...]
    here: tuple[str, ...]
    operation: Operation


@dataclass
class Matches:
    """What was found of a pair, and the keys that are in no match."""

    found: list[Match] = field(default_factory=list)
    only_canonical: list[str] = field(default_factory=list)
    only_here: list[str] = field(default_factory=list)


def sum_of(array: np.ndarray) -> int:
    """Return a sum over the elements' bits that does not depend on their order."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4").astype("<u8").ravel()
    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return int((bits ^ (bits >> np.uint64(31))).sum(dtype="<u8"))


def search(canonical: Arrays, here: Arrays, numbers: Numbers) -> Matches:
    """Return the matches of two files of the same weights."""
    return _Search(canonical, here, numbers).run()


class _Search:
    def __init__(self, canonical: Arrays, here: Arrays, numbers: Numbers) -> None:
        self.canonical, self.here, self.numbers = dict(canonical), dict(here), numbers
        self.sums = {key: sum_of(array) for key, array in self.canonical.items()}
        self.left = {key: sum_of(array) for key, array in self.here.items()}
        self.used: set[str] = set()
        self.matches = Matches()

    def run(self) -> Matches:
        self._one_to_one()
        self._stacks()
        self._splits()
        self._fusions()
        self._values()
        self._trims()
        self.matches.only_canonical = [key for key in self.canonical if key not in self.used]
        self.matches.only_here = list(self.left)
        return self.matches

    def _take(self, sources: Sequence[str], targets: Sequence[str], candidates: Any) -> bool:
        """Record a match if one of the operations gives the targets from the sources."""
        given = [self.canonical[key] for key in sources]
        wanted = [self.here[key] for key in targets]
        for operation in candidates:
            if gives(operation, given, wanted, self.numbers):
                self.matches.found.append(Match(tuple(sources), tuple(targets), operation))
                self.used.update(sources)
                for key in targets:
                    del self.left[key]
                return True
        return False

    def _one_to_one(self) -> None:
        by_sum: dict[int, list[str]] = {}
        for key, number in self.sums.items():
            by_sum.setdefault(number, []).append(key)
        for target, number in list(self.left.items()):
            for source in by_sum.get(number, []):
                shapes = (self.canonical[source].shape, self.here[target].shape)
                if source not in self.used and self._take(
                    [source], [target], arrangements(*shapes, self.numbers)
                ):
                    break

    def _stacks(self) -> None:
        groups: dict[str, list[str]] = {}
        for key in self.canonical:
            for found in NUMBER.finditer(key):
                groups.setdefault(f"{key[: found.start()]}\0{key[found.end() :]}", []).append(key)
        sums = {
            sum(self.sums[key] for key in keys) % 2**64: keys
            for keys in groups.values()
            if len(keys) > 1 and len({self.canonical[key].shape for key in keys}) == 1
        }
        for target, number in list(self.left.items()):
            keys = sums.get(number, [])
            if keys and not self.used & set(keys):
                self._take(sorted(keys, key=_natural), [target], [Stack("e")])

    def _splits(self) -> None:
        for source in [key for key in self.canonical if key not in self.used]:
            for targets in self._parts(source):
                shapes = [self.here[key].shape for key in targets]
                made = splits(self.canonical[source].shape, shapes, self.numbers)
                if any(
                    self._take([source], order, made) for order in itertools.permutations(targets)
                ):
                    break

    def _parts(self, source: str) -> Iterator[tuple[str, ...]]:
        """Yield keys whose tensors make up one, first those of the block of its number."""
        blocks: dict[tuple[int, ...], list[str]] = {}
        for key in self.left:
            blocks.setdefault(tuple(_indices(key)[:1]), []).append(key)
        own = tuple(_indices(source)[:1])
        for number in sorted(blocks, key=lambda each: (each != own, each)):
            yield from _subsets(blocks[number], self.left, self.sums[source])

    def _fusions(self) -> None:
        for target, number in list(self.left.items()):
            block = [
                key
                for key in self.canonical
                if key not in self.used and _indices(key)[:1] == _indices(target)[:1]
            ]
            for sources in _subsets(block, self.sums, number):
                if any(
                    self._take(
                        order,
                        [target],
                        joins([self.canonical[key].shape for key in order], self.numbers),
                    )
                    for order in itertools.permutations(sources)
                ):
                    break

    def _values(self) -> None:
        """Match what was computed elementwise."""
        for source in [key for key in self.canonical if key not in self.used]:
            array = self.canonical[source]
            block = [key for key in self.left if _indices(key)[:1] == _indices(source)[:1]]
            for target in [key for key in block if self.here[key].size == array.size]:
                moves = list(arrangements(array.shape, self.here[target].shape, self.numbers))
                made = [
                    value if isinstance(move, Identity) else Chain(value, move)
                    for value in (NegExp(), Offset(1.0))
                    for move in moves
                ]
                if self._take([source], [target], made):
                    break

    def _trims(self) -> None:
        """Match rows that are left out at the start of an axis."""
        for source in [key for key in self.canonical if key not in self.used]:
            shape = self.canonical[source].shape
            for target in list(self.left):
                other = self.here[target].shape
                if len(shape) == len(other) == 2 and shape[1] == other[1] and shape[0] > other[0]:
                    trim = Trim(0, count=shape[0] - other[0], at="start")
                    if self._take([source], [target], [trim]):
                        break


def gives(
    operation: Operation, given: list[np.ndarray], wanted: list[np.ndarray], numbers: Numbers
) -> bool:
    """Return whether an operation gives these arrays, within its tolerance."""
    labels = "e" if isinstance(operation, Stack) else POSITION
    many = len(given) > 1
    operand = {((labels, n),) if many else (): each for n, each in enumerate(given)}
    try:
        result = operation.bind(numbers.__getitem__).apply(operand)
    except Exception:
        return False
    arrays = [np.asarray(_array(leaf)) for _, leaf in sorted(result.items())]
    off = TOLERANCE if operation.tolerance else 0.0
    return len(arrays) == len(wanted) and all(
        one.shape == other.shape
        and (np.allclose(one, other, rtol=off, atol=off) if off else np.array_equal(one, other))
        for one, other in zip(arrays, wanted, strict=True)
    )


def _array(leaf: Any) -> np.ndarray:
    return np.asarray(as_array(Numpy(), leaf))


def _indices(key: str) -> list[int]:
    return [int(text) for text in NUMBER.findall(key)]


def _natural(key: str) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", key)]


def _subsets(
    keys: Sequence[str], sums: Mapping[str, int], number: int
) -> Iterator[tuple[str, ...]]:
    for count in (2, 3, 4):
        for chosen in itertools.combinations(keys[:24], count):
            if sum(sums[key] for key in chosen) % 2**64 == number:
                yield chosen
