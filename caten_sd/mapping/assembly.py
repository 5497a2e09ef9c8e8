"""Operations between many tensors and one: concatenated along an axis, or stacked on a new one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup, Size, terms, value
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.operations import POSITION, Coordinates, Labels, Operand, Operation, extent_of
from caten_sd.mapping.patterns import is_index
from caten_sd.state.derived import derive
from caten_sd.state.steps import Cut, Join, Pick, Pile

MOST = 1 << 20  # keys or rows that are listed one by one; a file may claim any number


@dataclass(frozen=True)
class _SharedAxis(Operation):
    """An operation on an axis that several tensors share, each with its share of the length."""

    shares: tuple[Size, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        check_shares(self.shares, self.axis)

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with a number for every named share."""
        return replace(self, shares=bound(self.shares, lookup))


@checked_fields
@dataclass(frozen=True)
class Concat(_SharedAxis):
    """Several tensors joined along an axis, each with its share of it: (1, 1, 1) for thirds.

    Only the proportions matter, so counts do as well: ("n_head", "n_kv_head", "n_kv_head").
    """

    def inverse(self) -> Operation:
        """Return the split into the same shares."""
        return Split(self.shares, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels without the position."""
        if labels.get(POSITION) != len(self.shares):
            given = labels.get(POSITION, 1)
            raise LayoutError(
                f"the operation joins {len(self.shares)} tensors and is given {given}"
            )
        return _without(labels, POSITION)

    def apply(self, operand: Operand) -> Operand:
        """Return the joined leaves."""
        return _collapsed(operand, POSITION, self._joined)

    def _joined(self, leaves: list[Any]) -> Any:
        lengths = [extent_of(leaf, self.axis) for leaf in leaves]
        counts = [value(share, unknown) for share in self.shares]
        total = sum(counts)
        if any(n * total != sum(lengths) * count for n, count in zip(lengths, counts, strict=True)):
            raise LayoutError(
                f"lengths of {lengths} along axis {self.axis} are not in the shares {counts}; "
                f"give the shares that they are in, as (heads, kv_heads, kv_heads) where several "
                f"queries share a key"
            )
        return derive(Join(self.axis), leaves)


@checked_fields
@dataclass(frozen=True)
class Split(_SharedAxis):
    """One tensor cut along an axis into shares: (1, 1, 1) for thirds."""

    def inverse(self) -> Operation:
        """Return the concatenation of the same shares."""
        return Concat(self.shares, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels and the position."""
        if POSITION in labels:
            raise LayoutError(f"the operation splits 1 tensor and is given {labels[POSITION]}")
        return {**labels, POSITION: len(self.shares)}

    def apply(self, operand: Operand) -> Operand:
        """Return the pieces."""
        return _expanded(operand, POSITION, self._pieces)

    def _pieces(self, leaf: Any) -> list[Any]:
        lengths = divided(extent_of(leaf, self.axis), self.shares, self.axis)
        ends = itertools.accumulate(lengths)
        return [
            derive(Cut(self.axis, end - length, end), [leaf])
            for length, end in zip(lengths, ends, strict=True)
        ]


@dataclass(frozen=True)
class _OverIndex(Operation):
    """An operation over the values of a captured index."""

    over: str
    axis: int = 0

    def __post_init__(self) -> None:
        if not self.over.isidentifier() or not is_index(self.over):
            raise LayoutError(
                f"{self.over!r} does not capture an index; stack over a capture of one letter"
            )
        check_axis(self.axis)


@checked_fields
@dataclass(frozen=True)
class Stack(_OverIndex):
    """The tensors of every value of a captured index (experts, layers) stacked on a new axis."""

    def inverse(self) -> Operation:
        """Return the unstacking over the same index."""
        return Unstack(self.over, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels without the index."""
        if self.over not in labels:
            raise LayoutError(
                f"the operation stacks over {{{self.over}}} and is not given one tensor for each; "
                f"capture {{{self.over}}} in the canonical names only"
            )
        return _without(labels, self.over)

    def apply(self, operand: Operand) -> Operand:
        """Return the stacked leaves."""
        return _collapsed(operand, self.over, lambda leaves: derive(Pile(self.axis), leaves))


@checked_fields
@dataclass(frozen=True)
class Unstack(_OverIndex):
    """One tensor taken apart along an axis: one tensor for each index, which its key then has."""

    def inverse(self) -> Operation:
        """Return the stacking over the same index."""
        return Stack(self.over, self.axis)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels and the index."""
        if self.over in labels:
            raise LayoutError(
                f"the operation unstacks over {{{self.over}}} and is given one tensor for each "
                f"already; capture {{{self.over}}} in the layout's names only"
            )
        return {**labels, self.over: None}

    def apply(self, operand: Operand) -> Operand:
        """Return the leaves, one for each index."""
        return _expanded(operand, self.over, self._picked)

    def _picked(self, leaf: Any) -> list[Any]:
        count = extent_of(leaf, self.axis)
        if not 0 < count <= MOST:
            raise LayoutError(f"axis {self.axis} of {count} cannot become one key for each index")
        return [derive(Pick(self.axis, index), [leaf]) for index in range(count)]


def check_axis(axis: int) -> None:
    """Refuse an axis that is counted from the end: which one it is depends on the rank."""
    if axis < 0:
        raise LayoutError(f"axis {axis} is counted from the end; count it from the front")


def check_shares(shares: Sequence[Size], axis: int) -> None:
    """Refuse shares that cannot divide an axis."""
    check_axis(axis)
    if len(shares) < 2 or any(constant < 1 for share in shares for constant, _ in terms(share)):
        raise LayoutError(
            f"shares {tuple(shares)} do not divide an axis; give two or more, each above 0"
        )


def bound(shares: Sequence[Size], lookup: Lookup) -> tuple[Size, ...]:
    """Return the shares as numbers."""
    return tuple(value(share, lookup) for share in shares)


def divided(extent: int, shares: Sequence[Size], axis: int) -> list[int]:
    """Return the length of each share; LayoutError if the axis does not divide into them.

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


def _without(labels: Labels, label: str) -> Labels:
    return {name: count for name, count in labels.items() if name != label}


def _collapsed(operand: Operand, label: str, join: Callable[[list[Any]], Any]) -> Operand:
    """Return the operand with the leaves along a label joined into one, in order of the label."""
    runs: dict[Coordinates, list[tuple[int, Any]]] = {}
    for at, leaf in operand.items():
        rest = tuple(item for item in at if item[0] != label)
        runs.setdefault(rest, []).append((dict(at)[label], leaf))
    ordered = {rest: sorted(run, key=lambda pair: pair[0]) for rest, run in runs.items()}
    return {rest: join([leaf for _, leaf in run]) for rest, run in ordered.items()}


def _expanded(operand: Operand, label: str, pieces: Callable[[Any], list[Any]]) -> Operand:
    """Return the operand with each leaf replaced by its pieces, counted along a new label."""
    return {
        tuple(sorted((*at, (label, index)))): piece
        for at, leaf in operand.items()
        for index, piece in enumerate(pieces(leaf))
    }
