"""A box of a leaf: of what it is made of, only the boxes that are needed for it are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.leaves.indexing import picks
from caten_sd.mapping.derived import Derived, derive
from caten_sd.mapping.steps import Cut, Join, Permute, Pick, Pile, Reorder, Shape, Shift, Step
from caten_sd.tensor import BlockTensor, LazyTensor, spec

Box = tuple[slice, ...]  # one slice an axis, with a start, a stop and no step
Needs = tuple[Step | None, list[tuple[int, Box]]]


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
    shape = (*(_length(each) for each in rows), (end - first) * per)
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
    needs = needed(leaf.step, shapes, box) if all(map(_length, box)) else None
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


def _length(each: slice) -> int:
    return int(each.stop - each.start)


@generic
def needed(step: Any, shapes: Any, box: Any, /) -> Needs | None:
    """Return which boxes of which leaves a box of a step's result needs, and the step to do then.

    None, as for a step that has no method here, means that it needs all of them; a step of None
    that there is nothing left to do.
    """
    raise NotImplementedError


@needed.register(Step)
def _all_of_them(step: Step, shapes: Sequence[Shape], box: Box, /) -> None:
    return None


@needed.register(Permute)
def _for_permute(step: Permute, shapes: Sequence[Shape], box: Box, /) -> Needs:
    inner = dict(zip(step.axes, box, strict=True))
    return step, [(0, tuple(inner[axis] for axis in range(len(box))))]


@needed.register(Reorder)
def _for_reorder(step: Reorder, shapes: Sequence[Shape], box: Box, /) -> Needs:
    order = step.order[box[step.axis]]
    first = min(order)
    inner = _with(box, step.axis, slice(first, max(order) + 1))
    return Reorder(step.axis, tuple(index - first for index in order)), [(0, inner)]


@needed.register(Cut)
def _for_cut(step: Cut, shapes: Sequence[Shape], box: Box, /) -> Needs:
    each = box[step.axis]
    inner = slice(step.start + each.start, step.start + each.stop)
    return None, [(0, _with(box, step.axis, inner))]


@needed.register(Pick)
def _for_pick(step: Pick, shapes: Sequence[Shape], box: Box, /) -> Needs:
    chosen = slice(step.index, step.index + 1)
    return Pick(step.axis, 0), [(0, (*box[: step.axis], chosen, *box[step.axis :]))]


@needed.register(Join)
def _for_join(step: Join, shapes: Sequence[Shape], box: Box, /) -> Needs:
    wanted, start, boxes = box[step.axis], 0, []
    for number, shape in enumerate(shapes):
        stop = start + shape[step.axis]
        first, last = max(start, wanted.start), min(stop, wanted.stop)
        if first < last:
            boxes.append((number, _with(box, step.axis, slice(first - start, last - start))))
        start = stop
    return step, boxes


@needed.register(Pile)
def _for_pile(step: Pile, shapes: Sequence[Shape], box: Box, /) -> Needs:
    chosen, inner = box[step.axis], (*box[: step.axis], *box[step.axis + 1 :])
    return step, [(number, inner) for number in range(chosen.start, chosen.stop)]


@needed.register(Shift)
def _for_shift(step: Shift, shapes: Sequence[Shape], box: Box, /) -> Needs:
    return step, [(0, box)]


def _with(box: Box, axis: int, each: slice) -> Box:
    return (*box[:axis], each, *box[axis + 1 :])
