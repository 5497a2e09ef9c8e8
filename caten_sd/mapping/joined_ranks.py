"""The parts that several ranks have of a model's tensors, joined as the rows of a layout say."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Concat, divided
from caten_sd.mapping.axis_sizes import solve
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.known import announced_layouts, built_in_layouts
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import extent_of, shape_of
from caten_sd.mapping.reading import declared
from caten_sd.mapping.rows import Row
from caten_sd.mapping.rules import Rule
from caten_sd.mapping.templates import Finder
from caten_sd.state.compare import same_bytes
from caten_sd.state.derived import derive
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.steps import Cut, Join
from caten_sd.wording import counted, first_few

Parts = Mapping[str, Any]  # rank -> its part of one tensor


def joined_ranks(ranks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the whole tensors of ranks by key, lazily; LayoutError if no layout says how.

    What each rank has whole is compared.
    """
    first, *_ = ranks.values()
    _require_same_keys(ranks)
    if len(ranks) == 1:
        return dict(first)
    layout, rows = layout_of(first)
    parts = {key: {name: leaves[key] for name, leaves in ranks.items()} for key in first}
    sizes: dict[str, int] = {}
    for key, row in rows.items():
        if row is not None and row.ranks is None:
            _fits(layout, row, shape_of(first[key]), sizes)
    return {key: _whole(key, rows[key], parts[key], layout, sizes) for key in first}


def _require_same_keys(ranks: Mapping[str, Mapping[str, Any]]) -> None:
    (name, first), *others = ranks.items()
    for other, leaves in others:
        if differing := sorted(leaves.keys() ^ first.keys()):
            raise LayoutError(f"{differing[0]} is in only one of {name} and {other}")


def layout_of(leaves: Mapping[str, Any]) -> tuple[Layout, dict[str, Row | None]]:
    """Return the layout that says how ranks divide these keys, and the row of each key.

    LayoutError if there is none.
    """
    tensors = [key for key, leaf in leaves.items() if spec_or_none(leaf) is not None]
    known = [*announced_layouts().values(), *built_in_layouts().values()]
    for layout in known:
        if not any(isinstance(row, Row) and row.ranks for row in layout.rows):
            continue
        finder = Finder(layout.reading.matcher)
        found = {key: finder.matches(key)[0] for key in tensors}
        if all(found.values()):
            rules = {key: matches[0].payload.rule for key, matches in found.items()}
            rows = {
                key: rule.row if isinstance(rule, Rule) else None for key, rule in rules.items()
            }
            return layout, {key: rows.get(key) for key in leaves}
    some = f", among them {tensors[0]}" if tensors else ""
    count = counted(len(tensors), "tensor")
    raise LayoutError(f"no layout says how ranks divide its {count}{some}")


def _whole(
    key: str, row: Row | None, parts: Parts, layout: Layout, sizes: Mapping[str, int]
) -> Any:
    """Return the whole tensor of one key."""
    leaves = list(parts.values())
    if row is None or row.ranks is None:
        _require_equal(key, parts)
        return leaves[0]
    for axis in row.ranks:
        try:
            joined = _joined(row, leaves, axis)
        except LayoutError as error:
            raise LayoutError(f"{key} of {first_few(list(parts), 2)}: {error}") from None
        if len(row.ranks) == 1 or _fits(layout, row, shape_of(joined), dict(sizes)):
            return joined
    raise LayoutError(
        f"{key} has the shape {shape_of(leaves[0])} in each of {len(leaves)} ranks, which along "
        f"none of the axes {row.ranks} gives what {layout.name} declares"
    )


def _require_equal(key: str, parts: Parts) -> None:
    (name, first), *others = parts.items()
    for other, leaf in others:
        if spec_or_none(first) is not None and not same_bytes(first, leaf):
            raise LayoutError(f"{key} differs between {name} and {other}, and each has it whole")


def _joined(row: Row, leaves: Sequence[Any], axis: int) -> Any:
    """Return the parts joined; where a row joins tensors, each of these is divided itself."""
    operation = row.operation
    if not isinstance(operation, Concat) or operation.axis != axis:
        return derive(Join(axis), leaves)
    blocks = [blocks_of(leaf, operation) for leaf in leaves]
    return derive(Join(axis), list(itertools.chain.from_iterable(zip(*blocks, strict=True))))


def blocks_of(leaf: Any, operation: Concat) -> Iterable[Any]:
    """Return the tensors that a row joins, each of which ranks divide by itself."""
    axis = operation.axis
    lengths = divided(extent_of(leaf, axis), operation.shares, axis)
    ends = itertools.accumulate(lengths)
    return [
        derive(Cut(axis, end - length, end), [leaf])
        for length, end in zip(lengths, ends, strict=True)
    ]


def _fits(layout: Layout, row: Row, shape: Sequence[int], sizes: dict[str, int]) -> bool:
    """Return whether a row without captures may have a shape; the numbers it gives are added."""
    items = [Item(row.canonical_names[0], None, "")]
    found = [given for _, given in declared(layout.canonical.reading, items)]
    return not found or solve(found[0], shape, sizes)
