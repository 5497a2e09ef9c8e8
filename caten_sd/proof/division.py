"""The operation that divides a tensor into several, each a view of it.

Each part takes a chunk out of every period of the whole: all of the queries of a group, then its
keys. So the axis is split at the period first, and what each part still needs is done to the parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.operations import Chain, Identity, Operation
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.proof.arrangement import arrangement, axis_name
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.strided_views import Level, View, boundaries, within

Shape = tuple[int, ...]


class Found(NamedTuple):
    """A part: its shape, and where it is in the whole."""

    shape: Shape
    view: View


class Chunks(NamedTuple):
    """How many elements in a row a part takes out of each period of the whole."""

    length: int
    period: int


class Place(NamedTuple):
    """The axis of the whole with the period, how many periods it has, and the length of a row."""

    axis: int
    periods: int
    row: int


def division(whole: Shape, parts: Sequence[Found], names: NamedSizes) -> Operation | None:
    """Return the operation from a tensor to parts of it in this order, or None if it is none."""
    size = math.prod(whole)
    chunks = [_chunks(part.view, math.prod(part.shape), size) for part in parts]
    lengths = [each.length for each in chunks if each is not None]
    periods = {each.period for each in chunks if each is not None}
    offsets = [part.view.offset for part in parts]
    if len(lengths) < len(parts) or len(periods) > 1 or sum(lengths) not in periods:
        return None
    if offsets != [sum(lengths[:n]) for n in range(len(lengths))]:
        return None
    place = _place(whole, lengths, sum(lengths))
    return None if place is None else _steps(whole, parts, lengths, place, names)


def _chunks(view: View, size: int, whole: int) -> Chunks | None:
    """Return the chunks of a part, if all of its elements are in chunks of one length."""
    levels = sorted(view.levels, key=lambda level: level.stride)
    length = 1
    while levels and levels[0].stride == length:
        length *= levels.pop(0).size
    if not levels:
        return Chunks(length, whole)
    period = reached = levels[0].stride
    for count, stride in levels:
        if stride != reached:
            return None
        reached *= count
    return (
        Chunks(length, period) if reached == whole and length * (whole // period) == size else None
    )


def _place(whole: Shape, lengths: Sequence[int], period: int) -> Place | None:
    """Return the axis that the chunks divide; of several, the one that comes first."""
    for axis, (size, row) in enumerate(zip(whole, boundaries(whole), strict=True)):
        divides = all(length % row == 0 for length in lengths)
        if divides and period <= row * size and (row * size) % period == 0:
            return Place(axis, row * size // period, row)
    return None


def _steps(
    whole: Shape, parts: Sequence[Found], lengths: Sequence[int], place: Place, names: NamedSizes
) -> Operation | None:
    period = sum(lengths)
    axis, periods, row = place
    before, after = whole[:axis], whole[axis + 1 :]
    operations = []
    for part, length in zip(parts, lengths, strict=True):
        chunk = (*before, *((periods,) if periods > 1 else ()), length // row, *after)
        levels = within(_moved(part.view, period, length), chunk, part.shape)
        if levels is None:
            return None
        operations.append(arrangement(chunk, part.shape, levels, names))
    shares = _shares([length // row for length in lengths], periods, names)
    joined = _regrouped(whole, parts, place, shares, names)
    if joined is not None:
        return joined
    steps: list[Operation] = []
    if periods > 1:
        steps.append(_periods(whole, len(parts), place, names))
    steps.append(Split(shares, axis + (periods > 1)))
    if len(set(operations)) > 1:
        steps.append(Each(*operations))
    elif not isinstance(operations[0], Identity):
        steps.append(operations[0])
    return Chain(*steps) if len(steps) > 1 else steps[0]


def _shares(lengths: Sequence[int], periods: int, names: NamedSizes) -> tuple[int | str, ...]:
    """Return the shares of a period, by the names of what the parts have of all periods if any."""
    own, whole = names.shares(lengths), names.shares([length * periods for length in lengths])
    own_named, named = (all(isinstance(share, str) for share in each) for each in (own, whole))
    return whole if named and not own_named else own


def _moved(view: View, period: int, length: int) -> View:
    """Return the view as one of its chunks alone, end to end."""
    levels = [
        Level(count, stride if stride < period else stride // period * length)
        for count, stride in view.levels
    ]
    return View(0, tuple(levels))


def _periods(whole: Shape, parts: int, place: Place, names: NamedSizes) -> Operation:
    """Return the operation that gives the periods an axis of their own."""
    axes = [axis_name(n) for n in range(len(whole) + 1)]
    joined = f"({axes[place.axis]} {axes[place.axis + 1]})"
    before = [*axes[: place.axis], joined, *axes[place.axis + 2 :]]
    many = whole[place.axis] // place.periods
    alternating = many == parts and not names.count(place.periods)
    sized = (
        (axes[place.axis + 1], many)
        if alternating
        else (axes[place.axis], names.heads(place.periods))
    )
    sizes = dict([sized])
    return Rearrange(f"{' '.join(before)} -> {' '.join(axes)}", **sizes)


def _regrouped(
    whole: Shape,
    parts: Sequence[Found],
    place: Place,
    shares: tuple[int | str, ...],
    names: NamedSizes,
) -> Operation | None:
    """Return the operation as a packing, if each part is one end of an axis in its order."""
    axis, periods, _ = place
    alternating = whole[axis] == periods * len(parts)
    if periods == 1 or (alternating and not names.count(periods)):
        return None
    for part in parts:
        count = math.prod(part.shape) // (math.prod(whole) // whole[axis])
        plain = (*whole[:axis], count, *whole[axis + 1 :])
        # In order of the whole, so that taking the periods apart again would undo nothing.
        ordered = [level.stride for level in part.view.levels]
        if part.shape != plain or ordered != sorted(ordered, reverse=True):
            return None
    groups = names.heads(periods)
    return Chain(Regroup(shares, groups, axis, undo=True), Split(shares, axis))
