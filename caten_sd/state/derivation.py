"""Derivation: the steps that a leaf still needs, and what they say of its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.leaf import spec
from caten_sd.state.padding_steps import Padded, Trimmed
from caten_sd.state.steps import Permute
from caten_sd.state.value_steps import ValueStep


def derivation(leaf: Any) -> Iterator[Derived]:
    """Yield the leaf and everything it is derived from, where steps are still to be done."""
    if isinstance(leaf, BlockTensor):
        leaf = leaf.raw
    if isinstance(leaf, Derived):
        yield leaf
        for each in leaf.leaves:
            yield from derivation(each)


def whole_before(leaf: Any) -> tuple[Any, Trimmed | None]:
    """Return the leaf that this one was trimmed from, and the step; else the leaf and None.

    >>> import numpy
    >>> from caten_sd.state.derived import derive
    >>> whole_before(derive(Trimmed(0, 0, 1), [numpy.zeros(3)]))[1]
    Trimmed(axis=0, start=0, stop=1, value=0.0)
    """
    if isinstance(leaf, BlockTensor):
        raw, step = whole_before(leaf.raw)
        if step is None:
            return leaf, None
        shape = (*spec(raw).shape[:-1], leaf.shape[-1])
        return BlockTensor(leaf.block_type, raw, shape), step
    if isinstance(leaf, Derived) and isinstance(leaf.step, Trimmed):
        return leaf.leaves[0], leaf.step
    return leaf, None


def turns_square(leaf: Any) -> bool:
    """Return whether some step transposes a square matrix, whose shape cannot confirm it."""
    return any(
        isinstance(each.step, Permute) and spec(each.leaves[0]).shape == each.shape
        for each in derivation(leaf)
    )


def is_padded(leaf: Any) -> bool:
    """Return whether some step adds elements that are in no file."""
    return any(isinstance(each.step, Padded) for each in derivation(leaf))


def is_trimmed(leaf: Any) -> bool:
    """Return whether some step cuts elements off that a layout could restore."""
    return any(isinstance(each.step, Trimmed) for each in derivation(leaf))


def rounds(leaf: Any) -> bool:
    """Return whether some step computes new values, so that the last digits may be rounded."""
    return any(isinstance(each.step, ValueStep) for each in derivation(leaf))
