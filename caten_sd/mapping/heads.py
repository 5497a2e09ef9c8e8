"""Operations on the rows of attention weights; head counts are given, never guessed.

A wrong head count gives other rows in the same shape, so no shape could show the mistake.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import MOST, bound, check_axis, check_shares, divided, unknown
from caten_sd.mapping.axis_sizes import Lookup, Size, terms, value
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.operations import Identity, Operation, extent_of, inverted
from caten_sd.state.derived import derive
from caten_sd.state.options import checked_options
from caten_sd.state.steps import Reorder
from caten_sd.wording import counted

Order = tuple[int, ...]


@checked_fields
@dataclass(frozen=True)
class Rotary(Operation):
    """Reorder the rows of each head from adjacent rotary pairs ("pairs") to two "halves".

    For the weight of the keys, give the count of key-value heads.
    """

    heads: Size
    axis: int = 0
    to: str = "halves"

    def __post_init__(self) -> None:
        terms(self.heads)
        check_axis(self.axis)
        if self.to not in ("halves", "pairs"):
            raise LayoutError(f"rotary rows are in 'halves' or 'pairs', not in {self.to!r}")

    def inverse(self) -> Operation:
        """Return the operation that undoes this one."""
        return replace(self, to="pairs" if self.to == "halves" else "halves")

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with its head count as a number."""
        return replace(self, heads=value(self.heads, lookup))

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with its rows reordered."""
        order = rotary_order(extent_of(leaf, self.axis), value(self.heads, unknown))
        order = order if self.to == "halves" else inverted(order)
        return derive(Reorder(self.axis, order), [leaf])


@checked_fields
@dataclass(frozen=True)
class Regroup(Operation):
    """Interleave blocks along an axis: [Q|K|V] becomes [q0 k0 v0 | q1 k1 v1 | ...].

    ``packing`` makes the ones that models use, by name. ``undo`` goes back to blocks.
    """

    shares: tuple[Size, ...]
    groups: Size
    axis: int = 0
    undo: bool = False

    def __post_init__(self) -> None:
        check_shares(self.shares, self.axis)
        terms(self.groups)

    def inverse(self) -> Operation:
        """Return the operation that undoes this one."""
        return replace(self, undo=not self.undo)

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with its shares and groups as numbers."""
        groups = value(self.groups, lookup)
        return replace(self, shares=bound(self.shares, lookup), groups=groups)

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with its rows reordered."""
        blocks = divided(extent_of(leaf, self.axis), self.shares, self.axis)
        order = regrouped_order(tuple(blocks), value(self.groups, unknown))
        order = inverted(order) if self.undo else order
        return derive(Reorder(self.axis, order), [leaf])


PACKINGS = ("block", "per_head", "per_kv_group", "chunks")


@checked_options()
def packing(
    name: str, *, heads: Size = "n_head", kv_heads: Size = "n_kv_head", chunks: Size = "n_chunk"
) -> Operation:
    """Return the operation from [Q|K|V] blocks to a packing of this name.

    "block" is [Q|K|V] itself. "per_head" puts the query, key and value of each head together.
    "per_kv_group" puts each key-value head after the queries that share it. "chunks" gives each of
    several machines its share of Q, of K and of V.

    >>> packing("per_head", heads=2)
    Regroup(shares=(1, 1, 1), groups=2, axis=0, undo=False)
    """
    if name == "block":
        return Identity()
    if name == "per_head":
        return Regroup((1, 1, 1), heads)
    if name in PACKINGS:
        return Regroup((heads, kv_heads, kv_heads), kv_heads if name == "per_kv_group" else chunks)
    raise LayoutError(f"{name!r} is not a packing of Q, K and V; known are {', '.join(PACKINGS)}")


@functools.lru_cache(maxsize=16)
def rotary_order(rows: int, heads: int) -> Order:
    """Return the order that brings adjacent rotary pairs into the two halves of each head.

    >>> rotary_order(8, 2)
    (0, 2, 1, 3, 4, 6, 5, 7)
    >>> rotary_order(8, 1)
    (0, 2, 4, 6, 1, 3, 5, 7)
    """
    if heads < 1 or rows % (2 * heads) or rows > MOST:
        raise LayoutError(
            f"an axis of {rows} does not divide into {counted(heads, 'head')} of an even dimension"
        )
    size = rows // heads
    return tuple(
        head * size + pair + half
        for head in range(heads)
        for half in (0, 1)
        for pair in range(0, size, 2)
    )


@functools.lru_cache(maxsize=16)
def regrouped_order(blocks: tuple[int, ...], groups: int) -> Order:
    """Return the order that interleaves blocks: the first chunk of each, then the second, ...

    >>> regrouped_order((4, 4, 4), 2)
    (0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11)
    """
    if groups < 1 or any(block % groups for block in blocks) or sum(blocks) > MOST:
        raise LayoutError(
            f"blocks of {list(blocks)} rows do not divide into {counted(groups, 'group')}"
        )
    starts = list(itertools.accumulate(blocks, initial=0))[:-1]
    return tuple(
        start + group * (block // groups) + row
        for group in range(groups)
        for start, block in zip(starts, blocks, strict=True)
        for row in range(block // groups)
    )
