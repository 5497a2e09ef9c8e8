"""Derived: a leaf that is computed from other leaves when its values are asked for.

A slice of it slices those leaves, so that only the needed ranges are read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.state.accompanied import Accompanied
from caten_sd.state.arrange import Arrange
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import picks
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, Torch, as_array, spec
from caten_sd.state.padding_steps import Trimmed
from caten_sd.state.steps import Box, Cut, Join, Permute, Pick, Pile, Reorder, Shape, Step
from caten_sd.state.value_steps import ValueStep


class Derived(LazyLeaf):
    """The result of one step on other leaves; made by ``derive``.

    Nothing is cached: each reading computes again, as a view where step and leaves allow it.
    """

    __slots__ = ("dtype", "leaves", "shape", "step")

    def __init__(self, step: Step, leaves: Sequence[Any], shape: Shape, dtype: DType) -> None:
        self.step, self.leaves, self.shape, self.dtype = step, tuple(leaves), shape, dtype

    def origins(self) -> tuple[Any, ...]:
        """Return the leaves that the step takes."""
        return self.leaves

    def __getitem__(self, index: Any) -> Any:
        """Return a lazy slice, by integers and slices of positive step."""
        return indexed(self, index)

    def __repr__(self) -> str:
        return f"Derived({self.dtype}, {list(self.shape)}, {type(self.step).__name__})"


@as_array.register(Numpy, Derived)
def _by_numpy(kind: Numpy, leaf: Derived, /) -> Any:
    import numpy

    narrowed = narrowed_in_file(leaf)
    if narrowed is not None:
        return as_array(kind, narrowed)
    return leaf.step.run(numpy, [as_array(kind, each) for each in leaf.leaves])


@as_array.register(Torch, Derived)
def _by_torch(kind: Torch, leaf: Derived, /) -> Any:
    import torch

    # A byte of torch's 4-bit floats holds two neighbors of the last axis.
    if leaf.dtype.bits < 8 and not leaf.step.keeps_rows(len(spec(leaf.leaves[0]).shape)):
        raise LayoutError(f"torch keeps {leaf.dtype} packed along the last axis; use numpy() here")
    narrowed = narrowed_in_file(leaf)
    if narrowed is not None:
        return as_array(kind, narrowed)
    # Detached, because only the values are wanted and not a step of autograd's graph.
    return leaf.step.run(torch, [as_array(kind, each).detach() for each in leaf.leaves])


def narrowed_in_file(leaf: Derived) -> LazyTensor | None:
    """Return a slice of a file's tensor that equals the leaf, so that nothing else is read."""
    step, source = leaf.step, leaf.leaves[0]
    if not isinstance(source, LazyTensor) or not source.dtype.itemsize:
        return None
    if isinstance(step, Cut):
        return source[(slice(None),) * step.axis + (slice(step.start, step.stop),)]
    if isinstance(step, Pick):
        return source[(slice(None),) * step.axis + (step.index,)]
    return None


def derive(step: Step, leaves: Sequence[Any]) -> Any:
    """Return the lazy result of a step on these leaves; LayoutError if the step cannot be done.

    A step that undoes the previous one returns the original leaf. Packed blocks stay packed if the
    step moves complete rows.
    """
    for leaf in leaves:
        if isinstance(leaf, Accompanied):
            return leaf.after(step, leaves, derive)
    simplified = _simplified(step, leaves)
    if simplified is not None:
        return simplified
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
    if isinstance(step, ValueStep) and dtype.kind != "float":
        raise LayoutError(step.refusal(str(dtype)))
    return Derived(step, leaves, step.shape([known.shape for known in specs]), dtype)


def _packed(step: Step, leaves: Sequence[Any]) -> Any:
    """Return packed blocks after a step that moves complete rows; None if they must be unpacked."""
    first = leaves[0]
    if not isinstance(first, BlockTensor) or not step.keeps_rows(len(first.shape)):
        return None
    if not all(
        isinstance(leaf, BlockTensor) and leaf.dtype == first.dtype and leaf.movable
        for leaf in leaves
    ):
        return None
    shape = step.shape([leaf.shape for leaf in leaves])
    return BlockTensor(first.block_type, derive(step, [leaf.raw for leaf in leaves]), shape)


def _simplified(step: Step, leaves: Sequence[Any]) -> Any:
    """Return an existing leaf that equals the step's result, or None."""
    leaf = leaves[0]
    if isinstance(step, (Join, Pile)):
        lone = isinstance(step, Join) and len(leaves) == 1
        return leaf if lone else _reassembled(step, leaves)
    if isinstance(step, Permute) and step.axes == tuple(range(len(step.axes))):
        return leaf
    if isinstance(step, Reorder) and step.order == tuple(range(spec(leaf).shape[step.axis])):
        return leaf
    if isinstance(step, Cut) and (step.start, step.stop) == (0, spec(leaf).shape[step.axis]):
        return leaf
    return _combined(step, leaf) if isinstance(leaf, Derived) else None


def _combined(step: Step, leaf: Derived) -> Any:
    """Return the leaf that the step and the one before it make together; None if it takes both."""
    last = leaf.step
    if isinstance(step, Permute) and isinstance(last, Permute):
        return derive(Permute(tuple(last.axes[axis] for axis in step.axes)), leaf.leaves)
    if isinstance(step, Reorder) and isinstance(last, Reorder) and step.axis == last.axis:
        order = tuple(last.order[index] for index in step.order)
        return derive(Reorder(step.axis, order), leaf.leaves)
    if isinstance(step, Pick) and isinstance(last, Pile) and step.axis == last.axis:
        return leaf.leaves[step.index]
    if isinstance(step, Trimmed):
        origin = leaf.leaves[0]
        return origin if step.undoes(last, spec(origin).shape) else None
    if isinstance(step, Cut) and isinstance(last, Join) and step.axis == last.axis:
        ends = itertools.accumulate(spec(each).shape[step.axis] for each in leaf.leaves)
        for each, stop in zip(leaf.leaves, ends, strict=True):
            start = stop - spec(each).shape[step.axis]
            if (start, stop) == (step.start, step.stop):
                return each
    if isinstance(step, Arrange) and isinstance(last, Arrange):
        origin = leaf.leaves[0]
        return origin if step.undoes(last, spec(origin).shape) else None
    if isinstance(step, ValueStep) and step.undoes(last):
        return leaf.leaves[0]
    return None


def _reassembled(step: Join | Pile, leaves: Sequence[Any]) -> Any:
    """Return the leaf of which these leaves are all the cuts or picks in order; None if not."""
    expected = Cut if isinstance(step, Join) else Pick
    first = leaves[0]
    if not isinstance(first, Derived) or not isinstance(first.step, (Cut, Pick)):
        return None
    origin, at = first.leaves[0], 0
    for leaf in leaves:
        if not isinstance(leaf, Derived) or leaf.leaves[0] is not origin:
            return None
        taken = leaf.step
        if not isinstance(taken, expected) or taken.axis != step.axis:
            return None
        start, stop = _range_of(taken)
        if start != at:
            return None
        at = stop
    return origin if at == spec(origin).shape[step.axis] else None


def _range_of(step: Cut | Pick) -> tuple[int, int]:
    """Return the range of its axis that a step takes."""
    return (step.start, step.stop) if isinstance(step, Cut) else (step.index, step.index + 1)


def sliced(leaf: Any, box: Box) -> Any:
    """Return a box of a leaf, as lazily as the leaf allows.

    >>> import numpy
    >>> sliced(numpy.arange(6).reshape(2, 3), (slice(0, 1), slice(1, 3))).tolist()
    [[1, 2]]
    """
    if isinstance(leaf, Derived):
        return _of_derived(leaf, box)
    if isinstance(leaf, BlockTensor) and leaf.movable:
        return _of_blocks(leaf, box)
    shares_bytes = isinstance(leaf, LazyTensor) and not leaf.dtype.itemsize
    if shares_bytes or not hasattr(type(leaf), "__getitem__"):
        return _cut_out(leaf, box)
    return leaf[box]


def _of_blocks(leaf: BlockTensor, box: Box) -> Any:
    """Return the box, cut out of the blocks that overlap it."""
    *rows, last = box
    per, size = leaf.dtype.per, leaf.dtype.nbytes(leaf.dtype.per)
    first, end = last.start // per, -(-last.stop // per)
    raw = sliced(leaf.raw, (*rows, slice(first * size, end * size)))
    shape = (*(each.stop - each.start for each in rows), (end - first) * per)
    blocks = BlockTensor(leaf.block_type, raw, shape)
    ahead = first * per
    return _cut_out(blocks, (*full_box(shape[:-1]), slice(last.start - ahead, last.stop - ahead)))


def _of_derived(leaf: Derived, box: Box) -> Any:
    if box == full_box(leaf.shape):
        return leaf
    shapes = [spec(each).shape for each in leaf.leaves]
    empty = any(each.stop == each.start for each in box)
    needed = None if empty else leaf.step.needed(shapes, box)
    if needed is None:
        return _cut_out(leaf, box)
    step, boxes = needed
    slices = [sliced(leaf.leaves[number], inner) for number, inner in boxes]
    return slices[0] if step is None else derive(step, slices)


def indexed(leaf: Any, index: Any) -> Any:
    """Return a lazy slice: first the box around it, then every n-th index, then single ones."""
    shape = spec(leaf).shape
    chosen = picks(len(shape), index)
    ranges = [_range(n, pick) for n, pick in zip(shape, chosen, strict=True)]
    box = [slice(each.start, max(each.start, each.stop)) for each in ranges]
    result = sliced(leaf, tuple(box))
    for axis, indices in enumerate(ranges):
        if indices.step > 1:
            order = tuple(index - indices.start for index in indices)
            result = derive(Reorder(axis, order), [result])
    for axis, pick in reversed(list(enumerate(chosen))):
        if not isinstance(pick, slice):
            result = derive(Pick(axis, 0), [result])
    return result


def _range(n: int, pick: Any) -> range:
    """Return the indices of an axis of ``n`` that an integer or a slice picks."""
    if not isinstance(pick, slice):
        if not -n <= pick < n:
            raise IndexError(f"index {pick} is out of range for an axis of size {n}")
        return range(pick % n, pick % n + 1)
    return range(n)[pick]


def _cut_out(leaf: Any, box: Box) -> Any:
    """Return the box, cut from the result of reading the leaf completely."""
    for axis, each in enumerate(box):
        leaf = derive(Cut(axis, each.start, each.stop), [leaf])
    return leaf


def full_box(shape: Sequence[int]) -> Box:
    """Return the box that covers a shape."""
    return tuple(slice(0, n) for n in shape)
