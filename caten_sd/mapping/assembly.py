"""Operations between many tensors and one: concatenated along an axis, or stacked on a new one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup, Size, factors, value
from caten_sd.mapping.operations import PART, Coordinates, Labels, Operand, Operation, extent_of
from caten_sd.mapping.patterns import is_index
from caten_sd.state.derived import derive
from caten_sd.state.steps import Cut, Join, Pick, Pile

MOST = 1 << 20  # keys or rows that are listed one by one; a file may claim any number


@dataclass(frozen=True)
class _Shared(Operation):
    """An operation on shares of an axis."""

    shares: tuple[Size, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        check_shares(self.shares, self.axis)

    def bind(self, lookup: Lookup) -> Operation:
        """Return it with its shares looked up."""
        return replace(self, shares=bound(self.shares, lookup))


@dataclass(frozen=True)
class Concat(_Shared):
    """Several tensors joined along an axis, of which each takes its share: (1, 1, 1) for thirds.

    Counts do as well, since only proportions matter: ("n_head", "n_kv_head", "n_kv_head").
    """

    def inverse(self) -> Operation:
        """Return the split into the same shares."""
        return Split(self.shares, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels without the part."""
        return _less(labels, PART, "joins", len(self.shares))

    def apply(self, operand: Operand) -> Operand:
        """Return the joined leaves."""
        return _collapsed(operand, PART, self._joined)

    def _joined(self, leaves: list[Any]) -> Any:
        parts = [extent_of(leaf, self.axis) for leaf in leaves]
        if parts != divided(sum(parts), self.shares, self.axis):
            raise LayoutError(
                f"parts of {parts} along axis {self.axis} are not in the shares {self.shares}"
            )
        return derive(Join(self.axis), leaves)


@dataclass(frozen=True)
class Split(_Shared):
    """One tensor cut along an axis into shares: (1, 1, 1) for thirds."""

    def inverse(self) -> Operation:
        """Return the concatenation of the same shares."""
        return Concat(self.shares, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels and the part."""
        return _more(labels, PART, "splits", len(self.shares))

    def apply(self, operand: Operand) -> Operand:
        """Return the parts."""
        return _expanded(operand, PART, self._parts)

    def _parts(self, leaf: Any) -> list[Any]:
        parts = divided(extent_of(leaf, self.axis), self.shares, self.axis)
        ends = itertools.accumulate(parts)
        return [
            derive(Cut(self.axis, end - part, end), [leaf])
            for part, end in zip(parts, ends, strict=True)
        ]


@dataclass(frozen=True)
class _Indexed(Operation):
    """An operation over the values of a captured index."""

    over: str
    axis: int = 0

    def __post_init__(self) -> None:
        _check_index(self.over)
        check_axis(self.axis)


@dataclass(frozen=True)
class Stack(_Indexed):
    """The tensors of all values of a captured index (experts, layers) as one, on a new axis."""

    def inverse(self) -> Operation:
        """Return the unstacking over the same index."""
        return Unstack(self.over, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels without the index."""
        return _less(labels, self.over, "stacks")

    def apply(self, operand: Operand) -> Operand:
        """Return the stacked leaves."""
        return _collapsed(operand, self.over, lambda leaves: derive(Pile(self.axis), leaves))


@dataclass(frozen=True)
class Unstack(_Indexed):
    """One tensor as many, one for each index of an axis, which their keys then carry."""

    def inverse(self) -> Operation:
        """Return the stacking over the same index."""
        return Stack(self.over, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels and the index."""
        return _more(labels, self.over, "unstacks")

    def apply(self, operand: Operand) -> Operand:
        """Return the leaves, one for each index."""
        return _expanded(operand, self.over, self._picked)

    def _picked(self, leaf: Any) -> list[Any]:
        count = extent_of(leaf, self.axis)
        if not 0 < count <= MOST:
            raise LayoutError(f"axis {self.axis} of {count} cannot become one key for each index")
        return [derive(Pick(self.axis, index), [leaf]) for index in range(count)]


def check_axis(axis: int) -> None:
    """Refuse an axis that is counted from the end, whose place depends on the rank."""
    if axis < 0:
        raise LayoutError(f"axis {axis} is counted from the end; give it from the front")


def check_shares(shares: Sequence[Size], axis: int) -> None:
    """Refuse shares that nothing can be divided into."""
    check_axis(axis)
    if len(shares) < 2 or any(factors(share)[0] < 1 for share in shares):
        raise LayoutError(f"shares {tuple(shares)} divide nothing; give two or more, each above 0")


def bound(shares: Sequence[Size], lookup: Lookup) -> tuple[Size, ...]:
    """Return the shares as numbers."""
    return tuple(value(share, lookup) for share in shares)


def divided(extent: int, shares: Sequence[Size], axis: int) -> list[int]:
    """Return the lengths of the shares; LayoutError if the axis does not divide into them.

    >>> divided(24, (2, 1, 1), 0)
    [12, 6, 6]
    """
    counts = [value(share, unknown) for share in shares]
    if extent % sum(counts):
        raise LayoutError(f"axis {axis} of {extent} does not divide into the shares {counts}")
    return [count * (extent // sum(counts)) for count in counts]


def unknown(name: str) -> int:
    """Refuse a size that is still a name."""
    raise LayoutError(f"{name} is not known; bind the operation to numbers first")


def _check_index(over: str) -> None:
    if not over.isidentifier() or not is_index(over):
        raise LayoutError(f"{over!r} captures no index; stack over a capture of one letter")


def _less(labels: Labels, label: str, verb: str, count: int | None = None) -> Labels:
    if label not in labels or labels[label] != count:
        what = f"not {count} tensors" if label == PART else f"no index {{{label}}} of its own"
        raise LayoutError(f"the operation {verb} and is given {what}")
    return {name: known for name, known in labels.items() if name != label}


def _more(labels: Labels, label: str, verb: str, count: int | None = None) -> Labels:
    if label in labels:
        what = "several tensors" if label == PART else f"an index {{{label}}} already"
        raise LayoutError(f"the operation {verb} and is given {what}")
    return {**labels, label: count}


def _collapsed(operand: Operand, label: str, join: Callable[[list[Any]], Any]) -> Operand:
    """Return the operand with each run of leaves along a label joined into one, in order."""
    runs: dict[Coordinates, list[tuple[int, Any]]] = {}
    for at, leaf in operand.items():
        rest = tuple(item for item in at if item[0] != label)
        runs.setdefault(rest, []).append((dict(at)[label], leaf))
    ordered = {rest: sorted(run, key=lambda pair: pair[0]) for rest, run in runs.items()}
    return {rest: join([leaf for _, leaf in run]) for rest, run in ordered.items()}


def _expanded(operand: Operand, label: str, parts: Callable[[Any], list[Any]]) -> Operand:
    """Return the operand with each leaf replaced by its parts, counted along a new label."""
    return {
        tuple(sorted((*at, (label, index)))): part
        for at, leaf in operand.items()
        for index, part in enumerate(parts(leaf))
    }
