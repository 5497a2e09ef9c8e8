"""Refuse to apply a layout that the file, its keys or its shapes contradict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers, size_text
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import called
from caten_sd.mapping.reading import items_of, read_canonical
from caten_sd.mapping.rows import Row
from caten_sd.mapping.self_description import veto
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted


def refuse_source_alone(layout: object, from_layout: object) -> None:
    """Refuse the layout of a source where none is named to convert it to."""
    if layout is None and from_layout is not None:
        name = from_layout.name if isinstance(from_layout, Layout) else from_layout
        raise LayoutError(
            f"from_layout= or --from says that the source is in {name!r}, and no layout to "
            f"convert it to is named; name that with layout= or --to, or leave the other out"
        )


def refuse_unrelated(origin: Layout, target: Layout) -> None:
    """Refuse two layouts that have no canonical names in common."""
    if origin.canonical.name != target.canonical.name:
        raise LayoutError(
            f"{origin.name} is a layout of {origin.architecture} and {target.name} one of "
            f"{target.architecture}; only layouts of one architecture convert into each other"
        )


def refuse_excluded(declared: Layout, state: StateDict) -> None:
    """Refuse a layout that is named, of another architecture than the file says it is of.

    A layout of the caller's own that is based on none that is known is of whatever it is named for.
    """
    reason = veto(declared, state) if _is_known(declared) else ""
    if reason:
        findings = read_canonical(declared, items_of(state), Numbers({}), lenient=True).findings
        facts = _contradiction(declared, state, findings)
        raise LayoutError(
            f"{reason}, and from_layout= or --from says {declared.name}, a layout of "
            f"{declared.architecture}{f', but {facts}' if facts else ''}; correct the one that is "
            f"wrong, or, if it has the same tensors, use a layout of your own that has that name "
            f"in model_types"
        )


def _is_known(layout: Layout | None) -> bool:
    """Return whether a layout, or one that it is based on, is known by its name here."""
    while layout is not None and called(Layout, layout.name) is not layout:
        layout = layout.base
    return layout is not None


def refuse_read(origin: Layout, findings: Findings) -> None:
    """Refuse a tensor that would be turned and is turned already, and layers with a gap."""
    if findings.gap:
        raise LayoutError(
            f"layout {origin.name}: {findings.gap}; add what is missing, or open all files of the "
            f"model together"
        )
    for misfit in findings.misfits:
        if misfit.swapped:
            raise LayoutError(
                f"layout {origin.name}: {misfit}, so its axes are reversed and the tensors are in "
                f"another layout; name that one with from_layout= or --from"
            )


def refuse_to_write(origin: Layout, target: Layout, state: StateDict, findings: Findings) -> None:
    """Refuse to write what was read of a file: shapes contradict a layout, or most keys do."""
    total = len(state)
    unread = sum(key in state for key in findings.untaken)
    if findings.misfits or unread * 2 > total:
        taken = f"takes {total - unread:,} of {counted(total, 'key')}"
        facts = _contradiction(origin, state, findings)
        raise LayoutError(
            f"layout {origin.name} {taken}, but {facts}; name the layout that the file is in with "
            f"from_layout= or --from, or correct the file"
        )
    if len(findings.untaken) * 2 > total:
        raise LayoutError(
            f"layout {target.name} has no row for most of what {origin.name} has, as for "
            f"{findings.untaken[0]}; name another layout with layout= or --to"
        )


def _contradiction(layout: Layout, state: Mapping[str, Any], findings: Findings) -> str:
    """Return the first shape, or else the first key and row, that do not agree; "" if all do."""
    if findings.misfits:
        return str(findings.misfits[0])
    facts = []
    if findings.untaken:
        known = spec_or_none(state.get(findings.untaken[0]))
        shape = f" {list(known.shape)}" if known else ""
        facts.append(f"{findings.untaken[0]}{shape} has no row")
    if findings.idle:
        facts.append(f"row ({findings.idle[0]}){_declared(layout, findings.idle[0])} finds no key")
    return " and ".join(facts)


def _declared(layout: Layout, row: Row) -> str:
    """Return the shape that a layout declares for the canonical name of a row."""
    shapes = {
        name: each.shape
        for each in layout.canonical.rows
        if isinstance(each, Row)
        for name in each.canonical_names
    }
    shape = shapes.get(row.canonical_names[0])
    return "" if shape is None else f", of shape {size_text(shape)},"
