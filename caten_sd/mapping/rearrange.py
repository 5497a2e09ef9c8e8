"""Rearrange: axes split, reordered and joined, as a pattern in the grammar of einops."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import MOST, unknown
from caten_sd.mapping.axis_sizes import Lookup, Size, terms, value
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.operations import POSITION, Labels, Operand, Operation, shape_of
from caten_sd.state.arrange import REST, Arrange
from caten_sd.state.derived import derive
from caten_sd.state.steps import Permute, Reorder, Shape, Step

_AXIS = re.compile(r"\(([^()]*)\)|(\S+)")
_NAMES = re.compile(r"[^\W\d]\w*")

Group = tuple[str, ...]  # the factors of an axis; none for an axis of 1
Axes = tuple[Group, ...]


@checked_fields
@dataclass(frozen=True, init=False)
class Rearrange(Operation):
    """Axes split, reordered and joined, as ``einops.rearrange`` with the sizes of factors.

    A size is a number, a name that the configuration has, or a product of them. In each axis in
    parentheses, on both sides, at most one factor has no size. Blocks stay packed where the last
    axis stays as it is.

    >>> Rearrange("(h two d) c -> (h d two) c", h="n_head", two=2).inverse()
    Rearrange('(h d two) c -> (h two d) c', h='n_head', two=2)
    """

    pattern: str
    sizes: tuple[tuple[str, Size], ...]

    def __init__(self, pattern: str, /, **sizes: Size) -> None:
        object.__setattr__(self, "pattern", pattern)
        object.__setattr__(self, "sizes", tuple(sorted(sizes.items())))
        _check(pattern, sizes)

    def inverse(self) -> Operation:
        """Return the rearrangement with its sides swapped."""
        before, _, after = self.pattern.partition("->")
        return Rearrange(f"{after.strip()} -> {before.strip()}", **dict(self.sizes))

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with a number for every named size."""
        sizes = {name: value(size, lookup) for name, size in self.sizes}
        return Rearrange(self.pattern, **sizes)

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf rearranged."""
        for step in _steps(self.pattern, self.sizes, shape_of(leaf)):
            leaf = derive(step, [leaf])
        return leaf

    def __repr__(self) -> str:
        sizes = "".join(f", {name}={size!r}" for name, size in self.sizes)
        return f"Rearrange({self.pattern!r}{sizes})"


@dataclass(frozen=True, init=False)
class Each(Operation):
    """One operation for each of several tensors, in the order of the row's names.

    >>> Each(Rearrange("h a r -> h r a"), Rearrange("h a r -> h a r")).inverse()
    Each(Rearrange('h r a -> h a r'), Rearrange('h a r -> h a r'))
    """

    operations: tuple[Operation, ...]

    def __init__(self, *operations: Operation) -> None:
        object.__setattr__(self, "operations", operations)
        if len(operations) < 2 or any(dict(each.labels({})) for each in operations):
            raise LayoutError(
                f"{self!r} does not have operations on one tensor each; give one for each of two "
                f"or more tensors"
            )

    def inverse(self) -> Operation:
        """Return the inverses, in the same order."""
        return Each(*(operation.inverse() for operation in self.operations))

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operations with a number for every named size."""
        return Each(*(operation.bind(lookup) for operation in self.operations))

    @property
    def tolerance(self) -> float:
        """The largest tolerance of the operations."""
        return max(operation.tolerance for operation in self.operations)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels; LayoutError unless there are as many tensors as operations."""
        if labels.get(POSITION) != len(self.operations):
            raise LayoutError(
                f"the operation is for {len(self.operations)} tensors and is given "
                f"{labels.get(POSITION, 1)}"
            )
        return labels

    def apply(self, operand: Operand) -> Operand:
        """Return what each operation makes of its tensor."""
        return {
            at: self.operations[dict(at)[POSITION]].apply({(): leaf})[()]
            for at, leaf in operand.items()
        }

    def __repr__(self) -> str:
        return f"Each({', '.join(map(repr, self.operations))})"


class _Sides(NamedTuple):
    before: Axes
    after: Axes


@functools.lru_cache(maxsize=256)
def _sides(pattern: str) -> _Sides:
    texts = pattern.split("->")
    if len(texts) != 2:
        raise _not_a_pattern(pattern)
    return _Sides(*(_axes(text, pattern) for text in texts))


def _axes(text: str, pattern: str) -> Axes:
    found = []
    for match in _AXIS.finditer(text):
        words = [match[2]] if match[1] is None else match[1].split()
        words = [word for word in words if word != "1"]
        if not all(map(_NAMES.fullmatch, words)):
            raise _not_a_pattern(pattern)
        found.append(tuple(words))
    return tuple(found)


def _not_a_pattern(pattern: str) -> LayoutError:
    return LayoutError(
        f"{pattern!r} does not rearrange axes; write one such as '(h two d) c -> (h d two) c', in "
        f"which both sides have the same names"
    )


def _check(pattern: str, sizes: Mapping[str, Size]) -> None:
    """Refuse a pattern that cannot be undone."""
    before, after = _sides(pattern)
    names = [name for group in before for name in group]
    others = [name for group in after for name in group]
    if len(set(names)) < len(names) or sorted(names) != sorted(others):
        raise _not_a_pattern(pattern)
    for name, size in sizes.items():
        if name not in names:
            raise LayoutError(f"{pattern!r} has no axis {name}; leave out the size {name}={size!r}")
        if any(constant < 1 for constant, _ in terms(size)):
            raise LayoutError(f"{name}={size!r} in {pattern!r} is not a size above 0; correct it")
    for group in (*before, *after):
        open_names = [name for name in group if name not in sizes]
        if len(group) > 1 and len(open_names) > 1:
            raise LayoutError(
                f"({' '.join(group)}) in {pattern!r} cannot be split without the sizes of all "
                f"names but one; pass {' or '.join(f'{name}=' for name in open_names)}"
            )


@functools.lru_cache(maxsize=16)  # an order has up to a million numbers
def _steps(pattern: str, sizes: tuple[tuple[str, Size], ...], shape: Shape) -> tuple[Step, ...]:
    """Return the steps that rearrange a tensor of this shape: on whole axes or rows if possible."""
    before, after = _sides(pattern)
    known = {name: value(size, unknown) for name, size in sizes}
    names = [name for group in before for name in group]
    order = tuple(names.index(name) for group in after for name in group)
    joined = tuple(map(len, after))
    split = tuple(tuple(known.get(name, REST) for name in group) for group in before)
    try:
        factors = Arrange(split, order, joined).factors(shape)
    except LayoutError as error:
        given = ", ".join(f"{name}={size}" for name, size in sizes)
        raise LayoutError(
            f"a tensor of shape {shape} is not '{pattern.partition('->')[0].strip()}'"
            f"{' with ' * bool(given)}{given}: {error}"
        ) from None
    if set(map(len, (*before, *after))) == {1}:
        return (Permute(order),)
    within = [sorted(group) for group in before] == [sorted(group) for group in after]
    if within and max(map(math.prod, factors)) <= MOST:
        return tuple(
            Reorder(axis, _order(dict(zip(group, factors[axis], strict=True)), after[axis]))
            for axis, group in enumerate(before)
            if group != after[axis]
        )
    # An axis that stays is not bound to its size, which blocks count in bytes.
    relative = tuple((REST,) if len(each) == 1 else each for each in split)
    return (Arrange(relative, order, joined),)


def _order(sizes: dict[str, int], after: Group) -> tuple[int, ...]:
    """Return the order of an axis whose factors change places.

    >>> _order({"d": 3, "two": 2}, ("two", "d"))
    (0, 2, 4, 1, 3, 5)
    """
    strides: dict[str, int] = {}
    stride = 1
    for name in reversed(sizes):
        strides[name], stride = stride, stride * sizes[name]
    steps = [range(0, sizes[name] * strides[name], strides[name]) for name in after]
    return tuple(map(sum, itertools.product(*steps)))
