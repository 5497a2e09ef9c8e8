"""Refuse keys that have no row in a layout of the caller's own, by the lines of its file."""

from __future__ import annotations

import re
from pathlib import Path

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.detection import Detection
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import called
from caten_sd.mapping.reading import items_of, read_canonical
from caten_sd.mapping.rows import Row
from caten_sd.state.grouping import few_keys
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted, first_few

_SHOWN = 3
_NAME = re.compile(r"""\s*(?:canonical|here)\s*=\s*(.*?)\s*$""")


def refuse_unmatched(
    state: StateDict, asked: str | Layout, target: Layout, found: Detection
) -> None:
    """LayoutError if the source matches the target, a layout of the caller's own, in part only.

    ``asked`` is what the caller gave for the target: of a TOML file the lines are named.
    """
    if called(Layout, target.name) is target:
        return
    own = [each for each in (target, target.canonical) if called(Layout, each.name) is None]
    best = next((each for each in found.candidates if any(each.layout is x for x in own)), None)
    is_other = found.similar is not None and not any(found.similar is each for each in own)
    if best is None or best.veto or best.findings.misfits or is_other or found.unprefixed:
        return
    tensors = ((key, leaf) for key, leaf in state.items() if spec_or_none(leaf) is not None)
    items = items_of(state.with_entry(dict(tensors)))
    lenient = read_canonical(best.layout, items, Numbers({}), lenient=True).findings
    file = str(asked) if str(asked).endswith(".toml") else ""
    lines = Path(file).expanduser().read_text("utf-8").split("\n") if file else []
    faults, fixes = [], []
    if lenient.untaken:
        count = counted(len(lenient.untaken), "key has", "keys have")
        faults.append(f"{count} no row ({few_keys(lenient.untaken, _SHOWN)})")
        fixes.append(f"add rows {_places(lines) if file else 'for them'}")
    if lenient.idle:
        rows = first_few([_row(row, lines) for row in lenient.idle], _SHOWN, between="; ")
        faults.append(f"{counted(len(lenient.idle), 'row finds', 'rows find')} no key ({rows})")
        fixes.append("remove or correct the rows that find no key")
    if faults:
        _refuse(file or f"layout {target.name}", best.layout, faults, fixes, found)


def _refuse(
    where: str, layout: Layout, faults: list[str], fixes: list[str], found: Detection
) -> None:
    name = layout.name
    if found.similar is not None:
        fixes.append(f"if it is in {name}, say so, as from_layout={name!r} or --from {name}")
    raise LayoutError(
        f"{where}: if the source is in {name}, {' and '.join(faults)}; {', or '.join(fixes)}"
    )


def _places(lines: list[str]) -> str:
    """Return the tables of a file that rows are added to, each with the line of its last row."""
    found = []
    for table in ("base.rows", "rows"):
        starts = [number for number, line in enumerate(lines, 1) if line.strip() == f"[[{table}]]"]
        if starts:
            found.append(f"[[{table}]] (the last is at line {starts[-1]})")
    return f"to {' and to '.join(found)}" if found else "for them"


def _row(row: Row, lines: list[str]) -> str:
    """Return a row, with the line of a file that has its canonical name or its own."""
    names = {f'"{name}"' for name in (*row.names, *row.canonical_names)}
    for number, line in enumerate(lines, 1):
        match = _NAME.match(line)
        if match and match[1] in names:
            return f"{row}, line {number}"
    return str(row)
