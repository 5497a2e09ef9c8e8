"""A TOML file as plain values, within bounds: its size, its lines, its texts and its rows.

The parser of Python takes a time that grows with the square of a dotted key, and a layout one that
grows with the square of its rows that capture names, so neither comes to it without bounds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.wording import bytes_text, counted

MOST_BYTES = 1 << 19
LONGEST_LINE = 2_000  # bytes
LONGEST_TEXT = 400  # characters of a name, a pattern or a reason
MOST_SEGMENTS = 64  # of a pattern
MOST_VALUES = 50_000
DEEPEST = 32  # containers within each other


def parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the values of a TOML file; LayoutError where it is not one, or beyond its bounds."""
    try:
        data = _bytes(Path(path))
    except OSError as error:
        raise LayoutError(
            f"the layout {str(path)!r} cannot be read ({error.strerror}); correct its path"
        ) from error
    if data is None:
        raise LayoutError(
            f"{str(path)!r} is not a TOML file of at most {bytes_text(MOST_BYTES)}, as a layout "
            f"is; name that file"
        )
    return values_of(str(path), data)


def _bytes(file: Path) -> bytes | None:
    """Return what a file holds, or None if it is too big, or not a file that ends."""
    if file.exists() and not file.is_file():
        return None
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    return None if len(data) > MOST_BYTES else data


def values_of(name: str, data: bytes) -> dict[str, Any]:
    """Return the values of TOML text; LayoutError, with this name, if it is not within bounds."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > LONGEST_LINE:
            raise LayoutError(
                f"line {number} of {name!r} has more than {LONGEST_LINE:,} bytes; shorten it, or "
                f"write it as several lines"
            )
    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{name!r} is not a TOML file ({error}); correct it there") from None
    _check(name, values)
    return values


def _check(name: str, values: dict[str, Any]) -> None:
    for count, (place, depth, value) in enumerate(_each(values)):
        if count > MOST_VALUES or depth > DEEPEST:
            most = counted(MOST_VALUES, "value") if depth <= DEEPEST else f"{DEEPEST} levels"
            raise LayoutError(f"{name!r} has more than {most}, which no layout has; shorten it")
        if isinstance(value, str):
            _check_text(name, place, value)


def _each(values: Any) -> Iterator[tuple[str, int, Any]]:
    """Yield every key and value, with the nearest key and how deep it lies."""
    waiting: list[tuple[str, int, Any]] = [("", 0, values)]
    while waiting:
        place, depth, value = waiting.pop()
        yield place, depth, value
        if isinstance(value, dict):
            for key, inner in value.items():
                yield "a key", depth + 1, key
                waiting.append((key, depth + 1, inner))
        elif isinstance(value, list):
            waiting += [(place, depth + 1, inner) for inner in value]


def _check_text(name: str, place: str, text: str) -> None:
    """Refuse a text that is too long, or that a screen would not show as it is."""
    if len(text) > LONGEST_TEXT or text.count(".") > MOST_SEGMENTS:
        raise LayoutError(
            f"{name!r}, {place[:40]!r}: a text of {counted(len(text), 'character')} is longer than "
            f"any name or pattern; a text has at most {LONGEST_TEXT} characters and "
            f"{MOST_SEGMENTS} segments"
        )
    if text and not text.isprintable():
        raise LayoutError(
            f"{name!r}, {place[:40]!r}: {text[:40]!r} has characters that are not printed; write "
            f"it without them"
        )
