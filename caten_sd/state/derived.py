"""Derived: a leaf that will be computed from other leaves, and until then only describes itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LayoutError
from caten_sd.state.indexing import picks
from caten_sd.state.leaf import (
    DTYPES,
    BlockTensor,
    DType,
    LazyTensor,
    Numpy,
    Torch,
    Unread,
    as_array,
    spec,
)
from caten_sd.state.steps import (
    Box,
    Cut,
    Join,
    Permute,
    Pick,
    Pile,
    Reorder,
    Shape,
    Shift,
    Step,
)


class Derived(Unread):
    """A leaf made of others by one step; made by ``derive``, read by ``numpy()`` or ``torch()``.

    Nothing is kept: each reading computes again, as a view where step and leaves allow it.
    """

    __slots__ = ("dtype", "leaves", "shape", "step")

    def __init__(self, step: Step, leaves: Sequence[Any], shape: Shape, dtype: DType) -> None:
        self.step, self.leaves, self.shape, self.dtype = step, tuple(leaves), shape, dtype

    def __getitem__(self, index: Any) -> Any:
        """Return the part under basic indexing (integers, slices of positive step), unread."""
        return indexed(self, index)

    def __repr__(self) -> str:
        return f"Derived({self.dtype}, {list(self.shape)}, {type(self.step).__name__})"


@as_array.register(Numpy, Derived)
def _by_numpy(kind: Numpy, leaf: Derived, /) -> Any:
    import numpy

    part = _part_of_file(leaf)
    if part is not None:
        return as_array(kind, part)
    return leaf.step.run(numpy, [as_array(kind, each) for each in leaf.leaves])


@as_array.register(Torch, Derived)
def _by_torch(kind: Torch, leaf: Derived, /) -> Any:
    import torch

    # A byte of torch's 4-bit floats holds two neighbours of the last axis.
    if leaf.dtype.bits < 8 and not leaf.step.keeps_rows(len(spec(leaf.leaves[0]).shape)):
        raise LayoutError(f"torch keeps {leaf.dtype} packed along the last axis; use numpy() here")
    part = _part_of_file(leaf)
    if part is not None:
        return as_array(kind, part)
    # The values of a parameter are meant, not a step of its graph.
    return leaf.step.run(torch, [as_array(kind, each).detach() for each in leaf.leaves])


def _part_of_file(leaf: Derived) -> LazyTensor | None:
    """Return the part of a file's leaf that the step takes, so that nothing else is read."""
    step, whole = leaf.step, leaf.leaves[0]
    if not isinstance(whole, LazyTensor) or not whole.dtype.itemsize:
        return None
    if isinstance(step, Cut):
        return whole[(slice(None),) * step.axis + (slice(step.start, step.stop),)]
    if isinstance(step, Pick):
        return whole[(slice(None),) * step.axis + (step.index,)]
    return None


def derive(step: Step, leaves: Sequence[Any]) -> Any:
    """Return the leaf that the step makes of the leaves, unread; LayoutError if it cannot.

    A step that undoes the one before gives back the very leaf that was there, and packed blocks
    stay packed under a step that moves whole rows.
    """
    undone = _undone(step, leaves)
    if undone is not None:
        return undone
    if (packed := _packed(step, leaves)) is not None:
        return packed
    specs = [spec(leaf) for leaf in leaves]
    dtypes = dict.fromkeys(
        DTYPES["float32"] if known.dtype.kind == "block" else known.dtype for known in specs
    )
    if len(dtypes) > 1:
        names = " and ".join(map(str, dtypes))
        raise LayoutError(f"tensors of {names} cannot become one; cast them to one dtype first")
    (dtype,) = dtypes
    if isinstance(step, Shift) and dtype.kind != "float":
        raise LayoutError(f"{step.by:+g} is added to floats only, and this is {dtype}")
    return Derived(step, leaves, step.shape([known.shape for known in specs]), dtype)


def _packed(step: Step, leaves: Sequence[Any]) -> Any:
    """Return packed blocks moved as whole rows; None where they have to be unpacked."""
    first = leaves[0]
    if not isinstance(first, BlockTensor) or not step.keeps_rows(len(first.shape)):
        return None
    if not all(isinstance(leaf, BlockTensor) and leaf.dtype == first.dtype for leaf in leaves):
        return None
    shape = step.shape([leaf.shape for leaf in leaves])
    return BlockTensor(first.block_type, derive(step, [leaf.raw for leaf in leaves]), shape)


def _undone(step: Step, leaves: Sequence[Any]) -> Any:
    """Return the leaf that needs no such step, or None: it was there before, or it stays as is."""
    leaf = leaves[0]
    if isinstance(step, (Join, Pile)):
        return leaf if isinstance(step, Join) and len(leaves) == 1 else _whole(step, leaves)
    if isinstance(step, Permute) and step.axes == tuple(range(len(step.axes))):
        return leaf
    if isinstance(step, Reorder) and step.order == tuple(range(spec(leaf).shape[step.axis])):
        return leaf
    if isinstance(step, Cut) and (step.start, step.stop) == (0, spec(leaf).shape[step.axis]):
        return leaf
    return _before(step, leaf) if isinstance(leaf, Derived) else None


def _before(step: Step, leaf: Derived) -> Any:
    """Return what the leaf was made of, where the step takes exactly that back."""
    last = leaf.step
    if isinstance(step, Permute) and isinstance(last, Permute):
        return derive(Permute(tuple(last.axes[axis] for axis in step.axes)), leaf.leaves)
    if isinstance(step, Reorder) and isinstance(last, Reorder) and step.axis == last.axis:
        order = tuple(last.order[index] for index in step.order)
        return derive(Reorder(step.axis, order), leaf.leaves)
    if isinstance(step, Pick) and isinstance(last, Pile) and step.axis == last.axis:
        return leaf.leaves[step.index]
    if isinstance(step, Cut) and isinstance(last, Join) and step.axis == last.axis:
        ends = itertools.accumulate(spec(part).shape[step.axis] for part in leaf.leaves)
        for part, stop in zip(leaf.leaves, ends, strict=True):
            start = stop - spec(part).shape[step.axis]
            if (start, stop) == (step.start, step.stop):
                return part
    if isinstance(step, Shift) and isinstance(last, Shift) and step.by == -last.by:
        return leaf.leaves[0]
    return None


def _whole(step: Join | Pile, leaves: Sequence[Any]) -> Any:
    """Return the one leaf whose every part, in order, these leaves are; None if there is none."""
    taken = Cut if isinstance(step, Join) else Pick
    first = leaves[0]
    if not isinstance(first, Derived) or not isinstance(first.step, (Cut, Pick)):
        return None
    origin, at = first.leaves[0], 0
    for leaf in leaves:
        if not isinstance(leaf, Derived) or leaf.leaves[0] is not origin:
            return None
        part = leaf.step
        if not isinstance(part, taken) or part.axis != step.axis:
            return None
        start, stop = (part.start, part.stop) if isinstance(part, Cut) else _unit(part)
        if start != at:
            return None
        at = stop
    return origin if at == spec(origin).shape[step.axis] else None


def _unit(part: Any) -> tuple[int, int]:
    return part.index, part.index + 1


def derivation(leaf: Any) -> Iterator[Derived]:
    """Yield the leaf and all that it is derived from, as far as steps are left to be done."""
    if isinstance(leaf, BlockTensor):
        leaf = leaf.raw
    if isinstance(leaf, Derived):
        yield leaf
        for part in leaf.leaves:
            yield from derivation(part)


def turns_square(leaf: Any) -> bool:
    """Say whether the leaf is transposed somewhere where its shape could not have told.

    That holds for a square matrix: its orientation is the layout's word alone.
    """
    return any(
        isinstance(each.step, Permute) and spec(each.leaves[0]).shape == each.shape
        for each in derivation(leaf)
    )


def rounds(leaf: Any) -> bool:
    """Say whether a number is added, so that the last digits may be lost once it is stored."""
    return any(isinstance(each.step, Shift) for each in derivation(leaf))


@generic
def part(leaf: Any, box: Any, /) -> Any:
    """Return the part of a leaf that lies in a box, unread where the leaf is.

    >>> import numpy
    >>> part(numpy.arange(6).reshape(2, 3), (slice(0, 1), slice(1, 3))).tolist()
    [[1, 2]]
    """
    raise NotImplementedError


@part.register(object)
def _indexed(leaf: Any, box: Box, /) -> Any:
    return leaf[box] if hasattr(type(leaf), "__getitem__") else cut(leaf, box)


@part.register(LazyTensor)
def _of_file(leaf: LazyTensor, box: Box, /) -> Any:
    return leaf[box] if leaf.dtype.itemsize else cut(leaf, box)


@part.register(BlockTensor)
def _of_blocks(leaf: BlockTensor, box: Box, /) -> Any:
    """Return whole rows of blocks, and of these the blocks in which the box lies."""
    *rows, last = box
    per, size = leaf.dtype.per, leaf.dtype.nbytes(leaf.dtype.per)
    first, end = last.start // per, -(-last.stop // per)
    raw = part(leaf.raw, (*rows, slice(first * size, end * size)))
    shape = (*(each.stop - each.start for each in rows), (end - first) * per)
    around = first * per
    inside = (slice(0, n) for n in shape[:-1])
    return cut(
        BlockTensor(leaf.block_type, raw, shape),
        (*inside, slice(last.start - around, last.stop - around)),
    )


@part.register(Derived)
def _of_derived(leaf: Derived, box: Box, /) -> Any:
    if box == whole(leaf.shape):
        return leaf
    shapes = [spec(each).shape for each in leaf.leaves]
    needs = leaf.step.needed(shapes, box) if all(each.stop > each.start for each in box) else None
    if needs is None:
        return cut(leaf, box)
    step, boxes = needs
    parts = [part(leaf.leaves[number], inner) for number, inner in boxes]
    return parts[0] if step is None else derive(step, parts)


def indexed(leaf: Derived, index: Any) -> Any:
    """Return the part under basic indexing, unread."""
    box, rest = [], []
    for n, pick in zip(leaf.shape, picks(len(leaf.shape), index), strict=True):
        if isinstance(pick, slice):
            indices = range(n)[pick]
            if indices.step < 1:
                raise IndexError("a leaf of a file is sliced forwards only")
        elif -n <= pick < n:
            indices = range(pick % n, pick % n + 1)
        else:
            raise IndexError(f"index {pick} is out of range for an axis of size {n}")
        box.append(slice(indices.start, max(indices.start, indices.stop)))
        rest.append(indices)
    result = part(leaf, tuple(box))
    for axis, indices in enumerate(rest):
        if indices.step > 1:
            order = tuple(index - indices.start for index in indices)
            result = derive(Reorder(axis, order), [result])
    for axis, pick in reversed(list(enumerate(picks(len(leaf.shape), index)))):
        if not isinstance(pick, slice):
            result = derive(Pick(axis, 0), [result])
    return result


def cut(leaf: Any, box: Box) -> Any:
    """Return the box cut out of the leaf, which is read whole for it."""
    for axis, each in enumerate(box):
        leaf = derive(Cut(axis, each.start, each.stop), [leaf])
    return leaf


def whole(shape: Sequence[int]) -> Box:
    """Return the box that is all of a shape."""
    return tuple(slice(0, n) for n in shape)
