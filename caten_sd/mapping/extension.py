"""Families: a layout made from that of a related architecture, with some rows more or other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row
from caten_sd.state.options import checked_options

ARCHITECTURE = "general.architecture"


@checked_options(layout="layout made")
def extend(
    layout: Layout,
    name: str,
    rows: Iterable[Row | Drop | Lacks] = (),
    *,
    without: Sequence[str] = (),
    base: Layout | None = None,
    **changes: Any,
) -> Layout:
    """Return a layout of a related architecture: the rows of a layout, and these.

    A row takes the place of one with the same canonical names, and a drop that of one with the same
    name. ``without`` has canonical names, or names of drops, that the new layout has no row for.
    Everything else is as in the layout unless it is among ``changes``, but for the architecture,
    its other names and the proof. ``sizes`` are added to those of the layout, whose keys that begin
    with the old architecture begin with the new. With the layout itself as ``base`` it is another
    of its architecture.

    >>> llama = Layout("llama", [Row("q.weight"), Row("o.weight")])
    >>> [str(row) for row in extend(llama, "qwen2", [Row("q.bias")]).rows]
    ['q.weight <-> q.weight', 'o.weight <-> o.weight', 'q.bias <-> q.bias']
    """
    fields = {field.name for field in dataclasses.fields(Layout)} - {"name", "rows", "base"}
    if unknown := sorted(changes.keys() - fields):
        raise LayoutError(
            f"a layout has no {unknown[0]}; what can be changed is {', '.join(sorted(fields))}"
        )
    merged = _merged(layout, list(rows), without)
    own = {"architecture", "model_types", "only_if", "proof"}
    inherited = {each: getattr(layout, each) for each in fields - own}
    said = {**layout.metadata, **changes.get("metadata", {})}
    inherited["sizes"] = {**_sizes(layout, said), **changes.pop("sizes", {})}
    if (base is None) != (layout.base is None) and base is not layout:
        raise LayoutError(
            f"layout {name}: {layout.name} has {'no' if layout.base is None else 'a'} base, so "
            f"{'leave base= out' if layout.base is None else 'give the base of the new one'}"
        )
    return Layout(name, merged, base=base, **{**inherited, **changes})


def _merged(
    layout: Layout, rows: list[Row | Drop | Lacks], without: Sequence[str]
) -> list[Row | Drop | Lacks]:
    new = {_names(row): row for row in rows}
    old = {_names(row): row for row in layout.rows}
    left = set(without)
    kept = {names: new.pop(names, row) for names, row in old.items() if not left & set(names)}
    known = {name for names in old for name in names}
    if missing := [name for name in without if name not in known]:
        raise LayoutError(f"layout {layout.name} has no row for {missing[0]}; correct without=")
    return [*kept.values(), *new.values()]


def _names(row: Row | Drop | Lacks) -> tuple[str, ...]:
    """Return what a row is known by: its canonical names, or the name of a drop."""
    if isinstance(row, Row):
        return row.canonical_names
    return (row.canonical,) if isinstance(row, Lacks) else row.names


def _sizes(layout: Layout, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the keys of numbers under the architecture that a file of the new layout names."""
    old, new = (f"{each.get(ARCHITECTURE, '')}." for each in (layout.metadata, metadata))
    return {
        new + key[len(old) :] if old != "." and key.startswith(old) else key: number
        for key, number in layout.sizes.items()
    }
