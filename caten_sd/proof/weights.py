"""The tensors of one state, with the fingerprints of their values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from caten_sd.mapping.pattern_pieces import is_name
from caten_sd.proof.diff_pieces import has_numbers
from caten_sd.proof.fingerprints import Fingerprint, fingerprints, level_of
from caten_sd.proof.key_indices import filled, indexed
from caten_sd.state.leaf import DENSE, Spec, spec_or_none
from caten_sd.state.state_dict import StateDict


class Weights:
    """Leaves that have values, by key: their specs and their fingerprints.

    ``refused`` has the keys that no row of a layout can explain, and why.
    """

    def __init__(self, state: StateDict) -> None:
        self.state = state
        self.specs: dict[str, Spec] = {}
        self.refused: dict[str, str] = {}
        shared: dict[Spec, Spec] = {}  # most tensors are like others
        for key, leaf in state.items():
            known = spec_or_none(leaf)
            if known is None or not known.has_values:
                continue
            if not is_name(key):
                self.refused[key] = "a name that no row can have"
            elif known.form != DENSE:
                self.refused[key] = f"a {known.form} tensor, whose elements are not all stored"
            elif not has_numbers(state.entry[key]):
                self.refused[key] = f"values of dtype {known.dtype}, which are not compared"
            else:
                self.specs[key] = shared.setdefault(known, known)
        self.leaves: dict[str, Any] = {key: state.entry[key] for key in self.specs}
        self.prints: dict[str, Fingerprint] = {}

    @property
    def levels(self) -> set[str]:
        """The dtypes that its tensors have."""
        return {level_of(known.dtype) for known in self.specs.values()}

    def read(self, levels: Collection[str]) -> None:
        """Read every tensor once, for its fingerprint."""
        self.prints = fingerprints(self.leaves, self.specs, levels)

    def by_count(self, keys: Collection[str], least: int) -> dict[int, list[str]]:
        """Return the floats among keys by how many elements they have, which is ``least`` or more.

        Those of one value throughout are left out.
        """
        found: dict[int, list[str]] = {}
        for key in keys:
            known = self.prints[key]
            is_float = self.specs[key].dtype.kind in ("float", "block")
            if is_float and not known.is_constant and known.elements >= least:
                found.setdefault(known.elements, []).append(key)
        return found


class Bearer(NamedTuple):
    """A tensor, or several that differ in one number of their key and are taken as one stack.

    ``hole`` is the place of that number among those of the key, or -1 for a single tensor.
    """

    keys: tuple[str, ...]
    hole: int = -1

    @property
    def is_stack(self) -> bool:
        """Whether it is several tensors."""
        return self.hole >= 0

    @property
    def name(self) -> str:
        """The key, or that of the first tensor without the number that is stacked."""
        if not self.is_stack:
            return self.keys[0]
        template, numbers = indexed(self.keys[0])
        texts: list[object] = list(numbers)
        texts[self.hole] = "*"
        return filled(template, texts)


class SameValues(NamedTuple):
    """Tensors of A that hold the same values as tensors of B, compared in the dtype ``level``.

    One of the two is a single tensor. ``said`` is what shows it, other than the values alone.
    """

    a: tuple[Bearer, ...]
    b: tuple[Bearer, ...]
    level: str
    said: str = ""

    @property
    def keys(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All keys of A and of B."""
        return tuple(k for s in self.a for k in s.keys), tuple(k for s in self.b for k in s.keys)

    def turned(self) -> SameValues:
        """Return the match with A and B changed over."""
        return SameValues(self.b, self.a, self.level, self.said)


def stacks(keys: Collection[str]) -> list[Bearer]:
    """Return the stacks that keys can be: of each number that counts up from 0.

    >>> [bearer.name for bearer in stacks(["h.0.w", "h.1.w", "wte"])]
    ['h.*.w']
    """
    runs: dict[tuple[str, int, tuple[int, ...]], dict[int, str]] = {}
    for key in keys:
        template, numbers = indexed(key)
        for hole, number in enumerate(numbers):
            rest = (*numbers[:hole], *numbers[hole + 1 :])
            runs.setdefault((template, hole, rest), {})[number] = key
    return [
        Bearer(tuple(run[n] for n in range(len(run))), hole)
        for (_, hole, _), run in runs.items()
        if len(run) > 1 and set(run) == set(range(len(run)))
    ]
