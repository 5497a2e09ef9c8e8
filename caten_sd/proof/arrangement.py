"""The operation of the algebra that a view is: a transpose, heads in halves, axes rearranged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from caten_sd.mapping.axis_sizes import Size
from caten_sd.mapping.heads import Regroup, Rotary
from caten_sd.mapping.operations import Identity, Operation, Transpose
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.strided_views import Level, boundaries

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORDS: dict[Size | None, str] = {2: "two", 3: "three"}

Axes = list[list[Level]]


def arrangement(
    whole: Sequence[int], part: Sequence[int], levels: Sequence[Level], names: NamedSizes
) -> Operation:
    """Return the operation from a tensor of one shape to its view of another shape.

    The levels, which have all elements, are split where an axis of either begins.

    >>> arrangement((4, 3), (3, 4), [Level(3, 1), Level(4, 3)], NamedSizes({}))
    Transpose(axes=None)
    """
    after = _after(levels, part)
    before = _before(levels, whole)
    if before == after and len(whole) == len(part):
        return Identity()
    simple = all(len(axis) == 1 for axis in (*before, *after))
    if simple:
        order = tuple(before.index(axis) for axis in after)
        return Transpose() if order == tuple(reversed(range(len(order)))) else Transpose(order)
    return _on_one_axis(before, after, names) or _rearrange(before, after, names)


def _after(levels: Sequence[Level], shape: Sequence[int]) -> Axes:
    """Return the levels of each axis of the view, which has them in order."""
    axes: Axes = []
    waiting = list(levels)
    for size in shape:
        axes.append([])
        while math.prod(level.size for level in axes[-1]) < size:
            axes[-1].append(waiting.pop(0))
    return axes


def _before(levels: Sequence[Level], shape: Sequence[int]) -> Axes:
    """Return the levels of each axis of the whole, which has them by stride."""
    ordered = sorted(levels, key=lambda level: -level.stride)
    return [
        [level for level in ordered if edge <= level.stride < edge * size]
        for edge, size in zip(boundaries(shape), shape, strict=True)
    ]


def _on_one_axis(before: Axes, after: Axes, names: NamedSizes) -> Operation | None:
    """Return the operation by its own name, if it has one: rotary halves, or a packing."""
    if len(before) != len(after):
        return None
    differing = [n for n, axis in enumerate(before) if axis != after[n]]
    if len(differing) != 1 or len(before[differing[0]]) != 3:
        return None
    (axis,) = differing
    outer, middle, inner = before[axis]
    if after[axis] == [outer, inner, middle] and 2 in (middle.size, inner.size):
        to = "halves" if inner.size == 2 else "pairs"
        return Rotary(names.heads(outer.size), axis, to)
    if after[axis] == [middle, outer, inner] and outer.size == 3:
        return Regroup((1, 1, 1), names.heads(middle.size), axis)
    if after[axis] == [middle, outer, inner] and middle.size == 3:
        return Regroup((1, 1, 1), names.heads(outer.size), axis, undo=True)
    return None


def _rearrange(before: Axes, after: Axes, names: NamedSizes) -> Rearrange:
    levels = [level for axis in before for level in axis]
    sized = _sized(before, after, names)
    known = {level: _size(level, before, after, names) for level in sized}
    named = dict(zip(levels, _factors(levels, known), strict=True))
    sizes = {named[level]: size for level, size in known.items()}
    sides = [
        " ".join(_axis([named[level] for level in axis]) for axis in side)
        for side in (before, after)
    ]
    return Rearrange(" -> ".join(sides), **sizes)


def _size(level: Level, before: Axes, after: Axes, names: NamedSizes) -> Size:
    """Return the size of a level: what is outermost is counted, what is innermost is measured."""
    joined = [axis for axis in (*before, *after) if level in axis and len(axis) > 1]
    if level.size in _WORDS and joined[0][0] != level:
        return level.size
    if joined[0][-1] == level:
        return names.within_head(level.size)
    return names.groups(level.size) if len(before) == 1 else names.heads(level.size)


def _factors(levels: Sequence[Level], known: Mapping[Level, Size]) -> list[str]:
    """Return a name for each level: a word for a small size that comes once, else a letter."""
    counts = [level.size for level in levels]
    words = [_WORDS.get(known.get(level), "") for level in levels]
    return [
        word if word and counts.count(count) == 1 else axis_name(n)
        for n, (word, count) in enumerate(zip(words, counts, strict=True))
    ]


def axis_name(n: int) -> str:
    """Return the name of an axis in a pattern: a letter, or one with a number if those are used up.

    >>> axis_name(0), axis_name(25), axis_name(26)
    ('a', 'z', 'a1')
    """
    return f"{_LETTERS[n % len(_LETTERS)]}{n // len(_LETTERS) or ''}"


def _axis(names: Sequence[str]) -> str:
    if not names:
        return "1"
    return names[0] if len(names) == 1 else f"({' '.join(names)})"


def _sized(before: Axes, after: Axes, names: NamedSizes) -> list[Level]:
    """Return the levels whose size has to be given, so that each axis has one at most without."""
    sized: list[Level] = []
    for axis in (*before, *after):
        unsized = [level for level in axis if level not in sized]
        if len(unsized) < 2:
            continue
        unsized.sort(key=lambda level: _is_fixed(level, axis, names))
        sized += unsized[1:]
    return sized


def _is_fixed(level: Level, axis: list[Level], names: NamedSizes) -> tuple[bool, bool, bool, int]:
    """Return how likely a factor is the same in every model: a small one, then one with a name."""
    named = isinstance(names.size(level.size), str)
    return not _is_ratio(level, axis, names), level.size in _WORDS, named, -level.size


def _is_ratio(level: Level, axis: list[Level], names: NamedSizes) -> bool:
    """Return whether a factor is what one count of heads is of another: queries of a key."""
    at = axis.index(level)
    counts = (axis[at - 1].size, axis[at - 1].size * level.size) if at else ()
    return bool(counts) and all(names.count(number) for number in counts)
