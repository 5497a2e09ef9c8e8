"""Accompanied: a packed weight with its scales, which every step moves together or refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.state.leaf import LazyLeaf, Spec, spec
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder, Shape, Step

Derive = Callable[[Step, Sequence[Any]], Any]

# What follows the weight by its shape; other companions, such as a recorded shape, follow no step.
_FOLLOWS = ("scale", "scale_2", "scales", "scale_inv", "SCB", "biases", "zero_point")
_OF_INPUTS = ("input_", "_input_", "output_", "_output_", "pre_quant_")  # or of outputs
# Weights whose axes are not those of the values: words down the columns, a table, or an axis more.
_OWN_AXES = ("qweight", "W_q", "_blocks", ".blocks", "._data._data")


class Accompanied(LazyLeaf):
    """A packed weight and its companions; their names and ``role`` extend the plain weight's name.

    A companion has an element for each block of the weight, such as a row or a square of 128; an
    axis that it does not have, or whose length is 1, is one block.
    """

    __slots__ = ("companions", "dtype", "role", "shape", "weight")

    def __init__(self, weight: Any, companions: Mapping[str, Any], role: str = "") -> None:
        self.weight, self.companions, self.role = weight, dict(companions), role
        known = spec(weight)
        self.shape, self.dtype = known.shape, known.dtype

    def origins(self) -> tuple[Any, ...]:
        """Return the weight and its companions."""
        return (self.weight, *self.companions.values())

    @property
    def has_own_axes(self) -> bool:
        """Whether the axes of the weight are not those of its values."""
        return self.role in _OWN_AXES

    def after(self, step: Step, leaves: Sequence[Any], derive: Derive) -> Accompanied:
        """Return weights and companions after a step; LayoutError if it would part their blocks."""
        weights = [leaf for leaf in leaves if isinstance(leaf, Accompanied)]
        if any(leaf.companions.keys() != self.companions.keys() for leaf in weights) or (
            len(weights) < len(leaves)
        ):
            raise LayoutError(
                "a packed weight and one that is packed in another way cannot become one; "
                "dequantize them first, by to_floats or --dtype f16"
            )
        moved = {}
        for name in self.companions:
            pairs = [(spec(leaf.weight), leaf.companions[name]) for leaf in weights]
            found = _step_of(name, pairs, step)
            companions = [companion for _, companion in pairs]
            moved[name] = companions[0] if found is None else derive(found, companions)
        if self.has_own_axes:
            raise _parts("its scales, as its axes are in an order of their own", step)
        return Accompanied(derive(step, [leaf.weight for leaf in weights]), moved, self.role)


def _step_of(name: str, pairs: Sequence[tuple[Spec, Any]], step: Step) -> Step | None:
    """Return what a step on weights is for their companions, or None if those stay as they are.

    ``pairs`` has the spec of each weight and its companion.
    """
    weight, blocks = pairs[0][0], spec(pairs[0][1]).shape
    if not _follows(name, pairs) or (isinstance(step, Pile) and step.axis > len(blocks)):
        raise _parts(name, step)
    if isinstance(step, Pile):
        return step
    # A word, or a byte without sign, holds several of the weight, side by side on the last axis.
    several = weight.dtype.bits > 8 or weight.dtype.name == "uint8"
    last = len(weight.shape) - 1 if several else -1
    if isinstance(step, Permute):
        if len(blocks) == len(weight.shape) and (last < 0 or step.axes[last] == last):
            return step
        raise _parts(name, step)
    if not isinstance(step, (Reorder, Cut, Pick, Join)) or step.axis == last:
        raise _parts(name, step)
    sizes = [
        _block_size(known.shape, spec(companion).shape, step.axis) for known, companion in pairs
    ]
    return _along_axis(
        name, step, sizes, [known.shape[step.axis] for known, _ in pairs], len(blocks)
    )


def _follows(name: str, pairs: Sequence[tuple[Spec, Any]]) -> bool:
    """Return whether the shape of a companion says how it follows its weight."""
    if name.startswith(_OF_INPUTS):  # so one number for all of the weight
        return all(math.prod(spec(companion).shape) == 1 for _, companion in pairs)
    return name.endswith(_FOLLOWS)


def _block_size(shape: Shape, blocks: Shape, axis: int) -> int:
    """Return how many elements a block has along an axis; 0 if they do not divide so.

    >>> [_block_size((256, 384), blocks, 0) for blocks in ((2, 3), (256,), (1,), (), (5, 3))]
    [128, 1, 256, 256, 0]
    """
    count = blocks[axis] if axis < len(blocks) else 1
    fits = len(blocks) <= len(shape) and count > 0 and shape[axis] % count == 0
    return shape[axis] // count if fits else 0


def _along_axis(
    name: str,
    step: Reorder | Cut | Pick | Join,
    sizes: Sequence[int],
    extents: Sequence[int],
    rank: int,
) -> Step | None:
    """Return the step on the blocks of an axis that moves their elements so."""
    size, extent = sizes[0], extents[0]
    if isinstance(step, Join):
        if len(set(sizes)) == 1 and size and (size == 1 or max(extents) > size):
            return step
    elif isinstance(step, Pick):
        if step.axis >= rank:
            return None
        if size in (1, extent):
            return Pick(step.axis, step.index if size == 1 else 0)
    elif size == extent:
        return None  # one block is the whole axis
    elif isinstance(step, Cut):
        if size and step.start % size == 0 == step.stop % size:
            return Cut(step.axis, step.start // size, step.stop // size)
    elif size and isinstance(order := _block_order(step.order, size), tuple):
        return Reorder(step.axis, order)
    raise _parts(name, step)


def _block_order(order: Sequence[int], size: int) -> tuple[int, ...] | None:
    """Return the order of blocks whose elements stay together and in order, or None.

    >>> _block_order((2, 3, 0, 1), 2), _block_order((0, 2, 1, 3), 2)
    ((1, 0), None)
    """
    runs = [order[start : start + size] for start in range(0, len(order), size)]
    whole = all(
        run[0] % size == 0 and tuple(run) == tuple(range(run[0], run[0] + size)) for run in runs
    )
    return tuple(run[0] // size for run in runs) if whole else None


def _parts(name: str, step: Step) -> LayoutError:
    return LayoutError(
        f"{type(step).__name__} would part the packed weight from {name}, which has an element for "
        f"each of its blocks; dequantize the weight first, by to_floats or --dtype f16, or leave "
        f"it in its layout"
    )
