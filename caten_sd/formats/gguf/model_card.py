"""What the head of a model card (README.md) says: texts, and lists of texts.

It is YAML, of which this reads the lines that model cards of the hub consist of: a key with a text,
with a list in brackets, or with a list below it. What is written otherwise is not read. A reader of
all of YAML would be a dependency for a license and a language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CARD = "README.md"
_MOST = 1 << 20  # bytes of the head
_LINE = re.compile(r"([A-Za-z_][\w-]*):(?:\s+(.*))?")
_ITEM = re.compile(r"\s*-\s+(.*)")
_OTHER = ("|", ">", "&", "*", "{", "!", "%", "@", "`")  # what begins a text of another kind

Card = Mapping[str, "str | list[str]"]


def model_card(folder: Path) -> Card:
    """Return what the card in a folder says; nothing where it has no head."""
    try:
        with (folder / CARD).open("rb") as file:
            lines = file.read(_MOST).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return {}
    return dict(_entries(lines[1 : lines.index("---", 1)]))


def _entries(lines: Sequence[str]) -> Iterator[tuple[str, str | list[str]]]:
    for at, line in enumerate(lines):
        if (found := _LINE.fullmatch(line.rstrip())) is None:
            continue
        key, rest = found.group(1), _uncommented(found.group(2) or "")
        if rest and _goes_on(lines, at + 1):
            continue
        value = _value(rest) if rest else _items(lines, at + 1)
        if value is not None:
            yield key, value


def _goes_on(lines: Sequence[str], first: int) -> bool:
    """Return whether a text goes on in the lines below it, of which only all is its value."""
    below = (lines[at] for at in range(first, len(lines)))
    return next(filter(str.strip, below), "")[:1].isspace()


def _value(text: str) -> str | list[str] | None:
    if not text.startswith("["):
        return _text(text)
    inner = text[1:-1].split(",") if text.endswith("]") else [""]
    items = [_text(each.strip()) for each in inner]
    return None if None in items else [each for each in items if each is not None]


def _items(lines: Sequence[str], first: int) -> list[str] | None:
    """Return the list below a key, or None if what is there is not a list of texts."""
    items: list[str] = []
    for at in range(first, len(lines)):
        line = lines[at]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (found := _ITEM.fullmatch(line)) is None:
            if line[0].isspace():
                return None
            break
        item = _text(_uncommented(found.group(1)))
        if item is None:
            return None
        items.append(item)
    return items or None


def _uncommented(text: str) -> str:
    quoted = text.startswith(('"', "'"))
    return text.strip() if quoted else re.sub(r"(^|\s)#.*", "", text).strip()


def _text(text: str) -> str | None:
    """Return a plain or quoted text, or None if it is anything else."""
    for quote in ('"', "'"):
        if text.startswith(quote):
            inner = text[1:-1]
            whole = len(text) > 1 and text.endswith(quote) and quote not in inner
            return inner if whole and "\\" not in inner else None
    if not text or text.startswith(_OTHER) or text.startswith(("[", "]")) or ": " in text:
        return None
    return None if text.endswith(":") or text in ("~", "null") else text
