"""The rows between one layer in two worlds, through the parts of its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.constants import made
from caten_sd.mapping.layer_kinds import KINDS, Parts, StandardLayer, Usual
from caten_sd.mapping.layer_operations import (
    CountedOperation,
    by_position,
    in_order,
    numbered_labels,
    require_constant,
)
from caten_sd.mapping.operations import POSITION, Chain, Identity, Labels, Operand, Operation
from caten_sd.mapping.rows import Constant, Row


@dataclass(frozen=True)
class PlacedLayer:
    """A layer where it is in a model: its kind, and the rows of parts that it has, by full names.

    ``place`` is the key of the layer, for messages. ``layer`` is what its object says it is.
    """

    kind: str
    place: str
    rows: tuple[Row, ...]
    layer: StandardLayer | None = None

    @property
    def epsilon(self) -> float | None:
        """What a norm adds to the variance, if that is known."""
        return self.layer.epsilon if self.layer else None

    @property
    def parts(self) -> set[str]:
        """The parts that it has."""
        return {part for row in self.rows for part in row.canonical_names}


def rows_between(
    one: PlacedLayer, other: PlacedLayer, *, fills: bool = True
) -> tuple[list[Row], list[str]]:
    """Return the rows from one layer's names to the other's, and what is to be said of them.

    LayoutError if a part that only one has is not of a kind that makes no difference, or if they
    have other counts of heads or of groups, which no shape tells. Unless it
    ``fills``, a part that the first lacks must not be one that an output depends on, as a file may
    have lost it.
    """
    _require_counts(one, other)
    usual = _usual_parts(one, other)
    lost = [part for part in other.parts - one.parts if not usual[part].counted]
    if lost and not fills:
        raise LayoutError(
            f"{one.place or 'the file'} has no {min(lost)}, as {other.place or 'the model'} has: "
            f"build the model without it if the file is whole"
        )
    rows, said = [], []
    for here, there in _components(one.rows, other.rows, usual):
        names = [name for row in here for name in row.names]
        others = [name for row in there for name in row.names]
        operation = _operation(here, there, usual)
        rows.append(Row(_one(names), _one(others), operation))
        said += [f"{one.place or 'the model'}: {text}" for text in _said_by(operation)]
    if None not in (one.epsilon, other.epsilon) and one.epsilon != other.epsilon:
        said.append(
            f"{one.place or 'the model'}: its epsilon is {one.epsilon:g}, and {other.epsilon:g} in "
            f"the other model, so outputs differ: build one as the other"
        )
    return rows, said


def _require_counts(one: PlacedLayer, other: PlacedLayer) -> None:
    """LayoutError if both layers say how many heads or groups they have, and differ."""
    if one.layer is None or other.layer is None:
        return
    for what, mine, its in (
        ("heads", one.layer.heads, other.layer.heads),
        ("key heads", one.layer.heads_of_keys, other.layer.heads_of_keys),
        ("groups", one.layer.groups, other.layer.groups),
    ):
        if mine and its and mine != its:
            raise LayoutError(
                f"{one.place or 'the layer'} of the first model has {mine} {what}, and "
                f"{other.place or 'the layer'} of the other has {its}, so the same tensors are "
                f"another function; build one as the other"
            )


def _usual_parts(one: PlacedLayer, other: PlacedLayer) -> dict[str, Usual]:
    """Return the parts that one layer alone has, each with what makes no difference."""
    known: Parts = KINDS.get(one.kind, {})
    found = {}
    for part in sorted(one.parts ^ other.parts):
        usual = known.get(part)
        has, lacks = (one, other) if part in one.parts else (other, one)
        if usual is None or usual.like not in one.parts & other.parts:
            raise LayoutError(
                f"{has.place or 'the model'} has {part}, and {lacks.place or 'the model'} of the "
                f"other model has none, though both are layers of the kind {one.kind!r}; build one "
                f"as the other"
            )
        found[part] = usual
    return found


Component = tuple[tuple[Row, ...], tuple[Row, ...]]


def _components(
    here: Iterable[Row], there: Iterable[Row], usual: dict[str, Usual]
) -> list[Component]:
    """Return the rows of both sides in groups, each of which has all rows of its parts."""
    groups: list[set[str]] = [{part, each.like} for part, each in usual.items()]
    for row in (*here, *there):
        joined = set(row.canonical_names)
        apart = [group for group in groups if joined.isdisjoint(group)]
        groups = [*apart, joined.union(*(group for group in groups if group not in apart))]
    return [(_rows_in(group, here), _rows_in(group, there)) for group in groups]


def _rows_in(group: set[str], rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(row for row in rows if group.issuperset(row.canonical_names))


def _one(names: Sequence[str]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else tuple(names)


def _operation(here: tuple[Row, ...], there: tuple[Row, ...], usual: dict[str, Usual]) -> Operation:
    if len(here) == len(there) == 1 and here[0].canonical_names == there[0].canonical_names:
        return chained(here[0].operation.inverse(), there[0].operation)
    one, other = (
        tuple(PartsOfRow(row.canonical_names, len(row.names), row.operation) for row in rows)
        for rows in (here, there)
    )
    parts = {part for row in (*here, *there) for part in row.canonical_names}
    return ThroughParts(
        one, other, tuple((part, usual[part]) for part in sorted(parts & usual.keys()))
    )


def chained(*operations: Operation) -> Operation:
    """Return operations one after the other, without neighbors that undo one another.

    >>> from caten_sd.mapping.operations import Transpose
    >>> chained(Transpose((1, 2, 0)), Chain(Transpose((2, 0, 1)), Transpose()))
    Transpose(axes=None)
    """
    left: list[Operation] = []
    for operation in _flat(operations):
        if left and left[-1].inverse() == operation:
            left.pop()
        elif not isinstance(operation, Identity):
            left.append(operation)
    if len(left) == 1:
        return left[0]
    return Chain(*left) if left else Identity()


def _flat(operations: Iterable[Operation]) -> Iterable[Operation]:
    for operation in operations:
        yield from _flat(operation.operations) if isinstance(operation, Chain) else (operation,)


@dataclass(frozen=True)
class PartsOfRow:
    """The parts that a row takes together, how many names it has, and its operation."""

    parts: tuple[str, ...]
    count: int
    operation: Operation


@dataclass(frozen=True)
class ThroughParts(Operation):
    """Tensors of one world to those of another, through parts that rows of both have.

    ``usual`` has the parts that only one of them has: they are made, or checked and left out.
    """

    here: tuple[PartsOfRow, ...]
    there: tuple[PartsOfRow, ...]
    usual: tuple[tuple[str, Usual], ...] = ()

    def inverse(self) -> Operation:
        """Return the operation from the other world to this one."""
        return replace(self, here=self.there, there=self.here)

    def labels(self, labels: Labels) -> Labels:
        """Return the position of each result."""
        taken, given = (sum(row.count for row in rows) for rows in (self.here, self.there))
        if labels.get(POSITION, 1) != taken:
            raise LayoutError(
                f"the operation takes {taken} tensors and is given {labels.get(POSITION, 1)}"
            )
        return numbered_labels(labels, given)

    @property
    def tolerance(self) -> float:
        """The largest tolerance of the operations of the rows."""
        return max(row.operation.tolerance for row in (*self.here, *self.there))

    def said_of(self, part_and_usual: tuple[str, Usual]) -> str:
        """Return what is said of a part that only one world has."""
        part, usual = part_and_usual
        if not any(part in row.parts for row in self.here):
            return f"{part} is filled with {usual.value:g}"
        return f"{part} is left out" + (f", as it is {usual.value:g}" * (not usual.counted))

    def apply(self, operand: Operand) -> Operand:
        """Return the tensors of the other world."""
        leaves, parts = in_order(operand), dict[str, Any]()
        for row in self.here:
            taken, leaves = leaves[: row.count], leaves[row.count :]
            back = row.operation.inverse().apply(by_position(taken))
            parts.update(zip(row.parts, in_order(back), strict=True))
        for part, usual in self.usual:
            _settle(part, usual, parts)
        made_leaves: list[Any] = []
        for row in self.there:
            taken = [parts[part] for part in row.parts]
            made_leaves += in_order(row.operation.apply(by_position(taken)))
        return by_position(made_leaves)


def _said_by(operation: Operation) -> Iterator[str]:
    """Yield what an operation does to values besides moving them."""
    if isinstance(operation, Chain):
        for each in operation.operations:
            yield from _said_by(each)
    elif isinstance(operation, CountedOperation):
        if text := operation.said[operation.undo]:
            yield text
    elif isinstance(operation, ThroughParts):
        for row in operation.here:
            yield from _said_by(row.operation.inverse())
        yield from map(operation.said_of, operation.usual)
        for row in operation.there:
            yield from _said_by(row.operation)


def _settle(part: str, usual: Usual, parts: dict[str, Any]) -> None:
    """Make a part that is not there; LayoutError if one that is there makes a difference."""
    if part not in parts:
        constant = Constant(usual.value, like=usual.like, axes=usual.axes)
        array = made(constant, parts[usual.like], usual.value)
        parts[part] = array.astype(usual.dtype) if usual.dtype else array
    elif not usual.counted:
        require_constant(parts[part], usual.value, part)
