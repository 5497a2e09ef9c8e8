"""The tensors of a model, divided among tensor-parallel ranks as the rows of a layout say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Concat
from caten_sd.mapping.joined_ranks import blocks_of, layout_of
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import extent_of
from caten_sd.mapping.rows import Row
from caten_sd.state.derived import derive
from caten_sd.state.steps import Cut, Join

MOST = 1 << 12  # ranks


def divided_among(leaves: Mapping[str, Any], count: int) -> tuple[Layout, list[dict[str, Any]]]:
    """Return the layout of a model, and what each of ``count`` ranks has of it, lazily.

    LayoutError if no layout says how, or if a tensor cannot be divided into equal parts.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MOST:
        raise LayoutError(f"the number of ranks is {count!r}, and must be 1 to {MOST}; correct it")
    try:
        layout, rows = layout_of(leaves)
    except LayoutError as error:
        raise LayoutError(
            f"{error}; convert it to one that does, as megatron-llama or meta-llama with layout= "
            f"or --to"
        ) from None
    ranks: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, leaf in leaves.items():
        for rank, part in zip(ranks, _parts(key, leaf, rows[key], count), strict=True):
            rank[key] = part
    return layout, ranks


def _parts(key: str, leaf: Any, row: Row | None, count: int) -> list[Any]:
    """Return the part of each rank, along the axis that the row names first."""
    if row is None or row.ranks is None or count == 1:
        return [leaf] * count
    axis, operation = row.ranks[0], row.operation
    if not isinstance(operation, Concat) or operation.axis != axis:
        return _cut(key, leaf, axis, count)
    each = [_cut(key, block, axis, count) for block in blocks_of(leaf, operation)]
    return [derive(Join(axis), list(parts)) for parts in zip(*each, strict=True)]


def _cut(key: str, leaf: Any, axis: int, count: int) -> list[Any]:
    extent = extent_of(leaf, axis)
    if extent % count:
        raise LayoutError(
            f"{key} has {extent} along axis {axis}, which {count} ranks cannot have equal parts "
            f"of; choose a number of ranks that divides it"
        )
    step = extent // count
    return [derive(Cut(axis, at, at + step), [leaf]) for at in range(0, extent, step)]
