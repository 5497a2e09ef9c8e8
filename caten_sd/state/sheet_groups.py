"""The groups of a sheet: keys of one kind under a title, those of one pattern on one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.errors.printable import one_line, printable
from caten_sd.state.grouping import LONGEST_KEY, group_keys
from caten_sd.wording import bytes_text, counted

Line = tuple[str, ...]  # its cells: keys, and what is known of them


class SheetRow(NamedTuple):
    """A key of a group, and what is known of it.

    Keys of one pattern and one ``detail`` share a line, with the largest of their errors and the
    sum of their sizes in bytes. ``data`` gives what JSON has of the key in place of ``detail``.
    Without room for all lines, keys of one pattern whose ``shape`` is known share one whatever
    their details. A ``quiet`` row is in the JSON and not on the screen.
    """

    key: str
    detail: str = ""
    shape: tuple[int, ...] | None = None
    error: float | None = None
    size: int | None = None
    quiet: bool = False
    data: Callable[[], Mapping[str, Any]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as an object of JSON."""
        known = {"detail": self.detail} if self.data is None else self.data()
        return {"key": self.key, **known}


class SheetGroup(NamedTuple):
    """Rows of one kind; the title is unique in its sheet.

    ``summary`` returns what is known of several keys of one pattern, which then share a line
    whatever their details.
    """

    title: str
    rows: Sequence[SheetRow]
    summary: Callable[[Sequence[str]], str] | None = None

    def printed(self) -> list[SheetRow]:
        """Return the rows that a screen shows."""
        return [row for row in self.rows if not row.quiet]

    def lines(self, *, detailed: bool = True) -> list[Line]:
        """Return a line for the keys of each pattern, and of one detail if ``detailed``."""
        if self.summary is not None:
            return self._summed(self.summary)
        rows_of: dict[str | None, dict[str, SheetRow]] = {}
        position = {}
        for at, row in enumerate(self.printed()):
            position[row.key] = at
            apart = detailed or row.shape is None
            rows_of.setdefault(row.detail if apart else None, {})[row.key] = row
        found = [(rows, group) for rows in rows_of.values() for group in group_keys(rows)]
        found.sort(key=lambda each: position[each[1].keys[0]])
        return [
            _line(one_line(group, LONGEST_KEY), [rows[key] for key in group.keys])
            for rows, group in found
        ]

    def _summed(self, summary: Callable[[Sequence[str]], str]) -> list[Line]:
        """Return a line for the keys of each pattern, in the order of the first keys."""
        position = {row.key: at for at, row in enumerate(self.printed())}
        found = sorted(group_keys(position), key=lambda group: position[group.keys[0]])
        lines = ((one_line(group, LONGEST_KEY), summary(group.keys)) for group in found)
        return [(keys, text) if text else (keys,) for keys, text in lines]

    def every_line(self) -> list[Line]:
        """Return a line for every row."""
        return [_line(printable(row.key), [row]) for row in self.printed()]

    def section(self, lines: list[Line]) -> Section:
        """Return the group as it is printed, with these lines."""
        return Section(f"{self.title} ({len(self.printed()):,})", lines)


class Section(NamedTuple):
    """A part of a screen: a heading, or none; lines; and how many lines were left out."""

    heading: str
    lines: list[Line]
    left: int = 0

    @property
    def height(self) -> int:
        """How many lines of a screen it takes."""
        return bool(self.heading) + len(self.lines) + bool(self.left)

    def shortened(self, height: int) -> Section:
        """Return it at most ``height`` lines high; the heading, which has the count, goes last."""
        if height >= self.height:
            return self
        kept = height - 1 - bool(self.heading)
        if kept < 0:
            return Section(self.heading, [])
        return Section(self.heading, self.lines[:kept], len(self.lines) - kept)

    def rest(self) -> list[str]:
        """Return the line that counts what was left out, if anything was."""
        more = f"... and {counted(self.left, 'more line')}; to_dict(), or --json, has every row"
        return [more] * bool(self.left)

    def texts(self) -> list[str]:
        """Return the lines of a screen; all but the heading are indented."""
        below = [": ".join(line) for line in self.lines] + self.rest()
        heading = [f"{self.heading}:" if below else self.heading] * bool(self.heading)
        return [*map(one_line, heading), *(one_line(f"  {text}") for text in below)]


def fitted(sections: Sequence[Section], room: int) -> list[Section]:
    """Return the sections shortened, the longest first, until they fit in ``room`` lines."""
    heights = [min(section.height, room) for section in sections]
    for least in (2, 1):  # a heading alone only where there is no other way
        while sum(heights) > room and max(heights) > least:
            heights[heights.index(max(heights))] -= 1
    shown = [each.shortened(height) for each, height in zip(sections, heights, strict=True)]
    left = len(shown) - room
    if left <= 0:
        return shown
    return [*shown[: room - 1], Section(f"... and {counted(left + 1, 'more group')}", [])]


def _line(keys: str, rows: Sequence[SheetRow]) -> Line:
    """Return the cells of a line: the keys, and what is known of all of them."""
    parts = [_details(rows)]
    errors = [row.error for row in rows if row.error is not None]
    parts += [f"largest error {max(errors, key=_nan_last):.2g}"] if errors else []
    sizes = [row.size for row in rows if row.size is not None]
    parts += [bytes_text(sum(sizes))] if sizes else []
    text = "; ".join(filter(None, parts))
    return (keys, text) if text else (keys,)


def _nan_last(error: float) -> tuple[bool, float]:
    return math.isnan(error), error


def _details(rows: Sequence[SheetRow]) -> str:
    """Return the details of all rows, if they are one or two; else how many shapes there are."""
    details = list(dict.fromkeys(row.detail for row in rows))
    if len(details) <= 2:
        return " or ".join(details)
    shapes = {row.shape for row in rows}
    return f"of {len(shapes):,} shapes" if len(shapes) > 1 else f"of {len(details):,} kinds"
