"""The indices that rules have seen in keys, and how many of them there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from caten_sd.mapping.pattern_pieces import Piece
from caten_sd.mapping.patterns import Pattern, is_index
from caten_sd.mapping.rules import Rule

Indices = tuple[str, ...]


class SeenName(NamedTuple):
    """One name of a rule, with one of the texts of each choice that it captures.

    ``seen`` has the indices of the counted ``labels`` that its keys have, each with one such key.
    """

    rule: Rule
    pattern: Pattern
    texts: Mapping[str, str]
    labels: tuple[str, ...]
    seen: dict[Indices, str]

    @property
    def is_certain(self) -> bool:
        """Whether its keys are known from the indices: it has no free names and no arithmetic."""
        free = any(kind in ("name", "rest") for kind, _ in self.pattern.kinds.values())
        return not free and all(each.is_plain for each in (self.pattern, *self.rule.outputs))

    @property
    def module(self) -> str:
        """Its pattern before the last segment, or "" if that is not a module of each layer."""
        *parents, _ = self.pattern.segments
        captured = {name for segment in parents for piece in segment for name in piece.captures}
        is_layer = not parents or all(piece.kind == "index" for piece in parents[-1])
        if is_layer or not captured.issuperset(self.labels):
            return ""
        texts = ["".join(map(self._text, segment)) for segment in parents]
        return self.pattern.separator.join(texts)

    def stem(self, label: str) -> str:
        """Return what its keys have before an index; those of one stem are one list of layers."""
        before = itertools.takewhile(lambda piece: label not in piece.captures, self.pattern.pieces)
        return self.pattern.separator.join(map(self._text, before))

    def _text(self, piece: Piece) -> str:
        return self.texts.get(piece.text, piece.text)

    def key(self, indices: Mapping[str, str]) -> str:
        """Return the key with these indices, with the prefix of a key that is there."""
        known, example = next(iter(self.seen.items()))
        others = {name: f"{{{name}}}" for name in self.pattern.captures} | {**self.texts}
        others |= dict(zip(self.labels, known, strict=True))
        like, wanted = (self.pattern.key(others | {**given}) for given in ({}, indices))
        for start in range(len(like) + 1):
            if wanted.startswith(like[:start]) and example.endswith(like[start:]):
                return example[: len(example) - len(like) + start] + wanted[start:]
        return wanted


class SeenIndices:
    """What the names of rules have seen of the indices of counted labels."""

    def __init__(self, counted: Iterable[str]) -> None:
        self._counted = [label for label in counted if is_index(label)]
        self._names: dict[tuple[object, ...], SeenName] = {}

    def labels(self, captured: Iterable[str]) -> tuple[str, ...]:
        """Return those of the captures that are counted."""
        names = set(captured)
        return tuple(label for label in self._counted if label in names)

    def of(
        self, rule: Rule, position: int, labels: tuple[str, ...], captured: Mapping[str, str]
    ) -> dict[Indices, str]:
        """Return the indices that a rule's name with these captures has seen, to be added to."""
        pattern = rule.inputs[position]
        texts = {
            name: captured[name] for name, (kind, _) in pattern.kinds.items() if kind == "choice"
        }
        place = (id(rule), position, *texts.values())
        return self._names.setdefault(place, SeenName(rule, pattern, texts, labels, {})).seen

    def names(self) -> list[SeenName]:
        """Return the names that have counted labels."""
        return [name for name in self._names.values() if name.labels]

    def counts(self) -> dict[str, int]:
        """Return how many of each label there are, by the largest that a key has."""
        return {label: max(found) + 1 for label, found in by_label(self.names()).items()}


def by_label(names: Iterable[SeenName]) -> dict[str, dict[int, SeenName]]:
    """Return for each label its indices, each with a name that has seen it."""
    found: dict[str, dict[int, SeenName]] = {}
    for name in names:
        for at, label in enumerate(name.labels):
            known = found.setdefault(label, {})
            for index in {indices[at] for indices in name.seen}:
                known.setdefault(int(index), name)
    return found
