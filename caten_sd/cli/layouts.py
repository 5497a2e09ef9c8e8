"""``caten-sd layouts [NAME]``: all architectures, the layouts of one, or the rows of a layout."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from caten_sd.cli import FINE, say, say_sheet
from caten_sd.cli.arguments import LAYOUT, bare_parser
from caten_sd.errors import CatenError, LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.mapping.known import announced_layouts, built_in_layouts, find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import plain_name
from caten_sd.mapping.rows import Drop, Lacks, Row
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import counted

SUMMARY = "list the layouts that are known, those of an architecture, or the rows of one"


class LayoutList(HasSheet):
    """The architectures, by the kinds of layouts that they have; each layout is in the JSON.

    With a ``word``, the layouts of the architectures that are called so, and what proves each.
    """

    def __init__(
        self, layouts: Iterable[Layout], announced: Iterable[Layout] = (), word: str = ""
    ) -> None:
        self.announced = {each.name for each in announced}
        self.word = word
        every: dict[str, list[Layout]] = {}
        for layout in sorted((*layouts, *announced), key=lambda each: each.name):
            every.setdefault(layout.architecture, []).append(layout)
        self.families = _called(word, every) if word else every

    @property
    def verdict(self) -> str:
        """How many layouts and architectures there are."""
        count = counted(sum(map(len, self.families.values())), "layout")
        return f"{count} of {counted(len(self.families), 'architecture')}"

    def sheet(self) -> Sheet:
        """Return the sheet: a group for each architecture."""
        groups = [
            SheetGroup(one_line(family, 80), [self._row(each) for each in layouts])
            for family, layouts in sorted(self.families.items())
        ]
        return Sheet("layouts", self.verdict, [*self._notes()], groups)

    def _row(self, layout: Layout) -> SheetRow:
        source = "announced by a package" if layout.name in self.announced else "built in"
        detail = proof(layout) if source == "built in" else f"{proof(layout)}; {source}"
        return SheetRow(
            layout.name,
            detail,
            quiet=not self.word,
            data=lambda: {"source": source, **description(layout)},
        )

    def _notes(self) -> Iterator[str]:
        """Yield the lines of a screen: architectures, what nothing proves, and where to look."""
        if self.word:
            return
        kinds: dict[str, list[str]] = {}
        for family, layouts in sorted(self.families.items()):
            *firsts, last = sorted({each.name.partition("-")[0] for each in layouts})
            named = f"{', '.join(firsts)} and {last}" if firsts else last
            kinds.setdefault(named, []).append(one_line(family, 80))
        for named, families in sorted(kinds.items(), key=lambda each: -len(each[1])):
            yield from _wrapped(f"{named}: {', '.join(families)}")
        every = [each for layouts in self.families.values() for each in layouts]
        unproved = sorted(one_line(each.name, 80) for each in every if not each.proof)
        if unproved:
            yield from _wrapped(f"names only, which nothing proves: {', '.join(unproved)}")
        if self.announced:
            names = sorted(one_line(name, 80) for name in self.announced)
            yield from _wrapped(f"announced by a package: {', '.join(names)}")
        yield "caten-sd layouts llama lists those of Llama with what proves each"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 96, subsequent_indent="  ", break_on_hyphens=False)


def _called(word: str, families: Mapping[str, list[Layout]]) -> dict[str, list[Layout]]:
    """Return the architectures that are called so, or whose names have the word in them."""
    names = {
        family: {
            plain_name(name)
            for each in layouts
            for name in (*each.architecture.split("/"), *each.model_types)
        }
        for family, layouts in families.items()
    }
    plain = plain_name(word)
    equal = [family for family in names if plain in names[family]]
    alike = [family for family in names if any(plain in name for name in names[family])]
    return {family: families[family] for family in equal or alike}


class LayoutRows(HasSheet):
    """What a layout is, and its rows: a canonical name, that of the layout, the operation."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    def verdict(self) -> str:
        """The name, how many rows it has, and the architecture."""
        layout = self.layout
        rows = counted(len(layout.rows), "row")
        return f"{layout.name}: a layout of {layout.architecture} in {rows}"

    def sheet(self) -> Sheet:
        """Return the sheet: the rows in groups, by what they do."""
        layout = self.layout
        rows = [_in_sheet(row) for row in layout.rows if isinstance(row, Row)]
        drops = [SheetRow(r.here, r.reason) for r in layout.rows if isinstance(r, Drop)]
        lacks = [SheetRow(r.canonical, r.reason) for r in layout.rows if isinstance(r, Lacks)]
        return Sheet(
            "layout",
            self.verdict,
            [*_notes(layout)],
            [
                SheetGroup("canonical name <-> name here", rows),
                SheetGroup("in its files, and not read", drops),
                SheetGroup("not in its files", lacks),
            ],
            data=description(layout),
        )


def run(words: list[str]) -> int:
    """Print the list, those of an architecture, the rows of one layout, or its TOML text."""
    parser = bare_parser("layouts", SUMMARY)
    parser.add_argument(
        "name", nargs="?", metavar="LAYOUT", help=f"an architecture, as llama, or {LAYOUT}"
    )
    parser.add_argument("--toml", action="store_true", help="the layout as the text of a TOML file")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    options = parser.parse_args(words)
    if options.toml and (options.name is None or options.json):
        raise CatenError("--toml prints one layout as TOML; name the layout, and leave out --json")
    if options.toml:
        say(*find_layout(options.name).to_toml().rstrip("\n").split("\n"))
        return FINE
    shown = _shown(options.name)
    say_sheet(shown, as_json=options.json, every_line=True)
    return FINE


def _shown(name: str | None) -> HasSheet:
    """Return what is to be shown: all layouts, one, or those of an architecture."""
    if name is None:
        return _listed("")
    try:
        return LayoutRows(find_layout(name))
    except LayoutError:
        found = _listed(name) if plain_name(name) else None
        if found is None or not found.families:
            raise
        return found


def _listed(word: str) -> LayoutList:
    return LayoutList(built_in_layouts().values(), announced_layouts().values(), word)


def proof(layout: Layout) -> str:
    """Return what shows that a layout is right."""
    return layout.proof or "names only"


def description(layout: Layout) -> Mapping[str, Any]:
    """Return what JSON has of a layout besides its rows."""
    return {
        "layout": layout.name,
        "architecture": layout.architecture,
        "canonical": layout.canonical.name,
        "proof": proof(layout),
        "model_types": sorted(layout.model_types),
        "metadata": dict(layout.metadata),
        "prefixes": list(layout.prefixes),
    }


def _notes(layout: Layout) -> Iterator[str]:
    yield f"proof: {proof(layout)}"
    base = "its own" if layout.base is None else f"those of {layout.canonical.name}"
    yield f"canonical names: {base}"
    if layout.prefixes != ("",):
        yield f"what its keys begin with: {' or '.join(map(repr, layout.prefixes))}"
    yield f"what a file in it may say of itself: {', '.join(sorted(layout.model_types))}"


def _in_sheet(row: Row) -> SheetRow:
    names = f"{' and '.join(row.canonical_names)} <-> {' and '.join(row.names)}"
    parts = [] if row.renames_only else [repr(row.operation)]
    parts += [f"where {row.where}"] * bool(row.where)
    parts += [f"if absent, {row.tied}"] * bool(row.tied)
    parts += ["optional"] * row.optional
    parts += ["in some layers"] * row.in_some_layers
    return SheetRow(names, "; ".join(parts), data=lambda: _data(row))


def _data(row: Row) -> dict[str, Any]:
    return {
        "canonical": list(row.canonical_names),
        "here": list(row.names),
        "operation": "" if row.renames_only else repr(row.operation),
        "where": row.where,
        "optional": row.optional,
        "in_some_layers": row.in_some_layers,
    }
