"""One sheet for every plan, check, report and result: on a screen, as JSON and in a notebook.

It has the verdict with counts, notes, groups of keys, the likely cause, and one line that fixes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from caten_sd.errors.printable import LONGEST, escaped, one_line
from caten_sd.state.grouping import MAX_LINES
from caten_sd.state.sheet_groups import Section, SheetGroup, fitted

VERSION = 1  # of the JSON


class Sheet(NamedTuple):
    """What a verb found or did; ``data`` is what only JSON has, under names of its own."""

    kind: str
    verdict: str
    notes: Sequence[str] = ()
    groups: Sequence[SheetGroup] = ()
    cause: str = ""
    fix: str = ""
    data: Mapping[str, Any] = MappingProxyType({})

    def sections(self, room: int) -> list[Section]:
        """Return the notes and the groups in at most ``room`` lines.

        If they have more, keys of a pattern share a line first; then the longest is shortened.
        """
        notes = [Section("", [(note,) for note in self.notes])] * bool(self.notes)
        groups = [group for group in self.groups if group.printed()]
        for detailed in (True, False):
            found = notes + [group.section(group.lines(detailed=detailed)) for group in groups]
            is_fixed = all(group.summary for group in groups)
            if is_fixed or sum(section.height for section in found) <= room:
                break
        return fitted(found, room)

    def closing(self) -> list[str]:
        """Return the last lines: the cause and the fix, each on a line if there is one."""
        cause = [one_line(f"likely cause: {self.cause}")] * bool(self.cause)
        if len(self.fix) > LONGEST:  # a fix that is cut would do something else
            return [*cause, f"fix: a line of {len(self.fix):,} characters; .fix, or --json, has it"]
        return cause + [f"fix: {escaped(self.fix)}"] * bool(self.fix)

    def every_line(self) -> str:
        """Return the text with a line for every row, however many there are and however long."""
        groups = [group.section(group.every_line()) for group in self.groups if group.printed()]
        lines = [self.verdict, *(f"  {note}" for note in self.notes)]
        for group in groups:
            lines += [f"{group.heading}:", *(f"  {': '.join(line)}" for line in group.lines)]
        return "\n".join([*map(escaped, lines), *self.closing()])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold, the groups by their titles."""
        from caten_sd.state.json_values import json_values

        found: dict[str, Any] = json_values(
            {
                "kind": self.kind,
                "version": VERSION,
                "verdict": self.verdict,
                **self.data,
                "notes": self.notes,
                "groups": {g.title: [row.to_json() for row in g.rows] for g in self.groups},
                "cause": self.cause,
                "fix": self.fix,
            }
        )
        return found

    def __str__(self) -> str:
        closing = self.closing()
        sections = self.sections(MAX_LINES - 1 - len(closing))
        lines = [line for section in sections for line in section.texts()]
        return "\n".join([one_line(self.verdict), *lines, *closing])

    def __repr__(self) -> str:
        return f"<{self.kind}: {one_line(self.verdict)}>"

    def _repr_html_(self) -> str:
        from html import escape

        closing = self.closing()
        tables = map(_table, self.sections(MAX_LINES - 1 - len(closing)))
        # A browser leaves every space of a fix as it is only in this element.
        tags = ["pre" if line.startswith("fix: ") else "p" for line in closing]
        last = [f"<{t}>{escape(line)}</{t}>" for t, line in zip(tags, closing, strict=True)]
        return f"<div><p>{escape(one_line(self.verdict))}</p>{''.join([*tables, *last])}</div>"


def _table(section: Section) -> str:
    from html import escape

    caption = f"<caption>{escape(one_line(section.heading))}</caption>" if section.heading else ""
    rows = (
        "".join(f"<td>{escape(one_line(cell))}</td>" for cell in line)
        for line in (*section.lines, *((text,) for text in section.rest()))
    )
    body = "".join(f"<tr>{cells}</tr>" for cells in rows)
    return f"<table>{caption}<tbody>{body}</tbody></table>"


class HasSheet(ABC):
    """A result that is printed, written as JSON and shown in a notebook through its sheet."""

    __slots__ = ()

    @property
    @abstractmethod
    def verdict(self) -> str:
        """The result in one line, with counts."""

    @abstractmethod
    def sheet(self) -> Sheet:
        """Return the sheet: all that a screen, JSON or a notebook shows of the result."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold, with its kind and a version."""
        return self.sheet().to_dict()

    def __str__(self) -> str:
        return str(self.sheet())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {one_line(self.verdict)}>"

    def _repr_html_(self) -> str:
        return self.sheet()._repr_html_()
