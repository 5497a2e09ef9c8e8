"""A GGUF model split over several files, ``name-00001-of-00003.gguf`` and so on.

As llama-gguf-split and gguf-py write them: ``split.count``, ``split.no`` and
``split.tensors.count`` in each part, all other metadata in the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.errors import FormatError
from caten_sd.gguf_header import Header, read_header
from caten_sd.gguf_values import TYPES
from caten_sd.source import Folder, Source

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"

_NAME = re.compile(r"(?P<stem>.*)-(?P<part>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)


class PartName(NamedTuple):
    """What the name of a part says: ``part`` of ``parts``, from 1."""

    stem: str
    part: int
    parts: int

    def sibling(self, part: int) -> str:
        """Return the name of another part."""
        return f"{self.stem}-{part:05}-of-{self.parts:05}.gguf"


def part_name(name: str) -> PartName | None:
    """Return what the name of a part says, or None if it is no such name.

    >>> part_name("m-00002-of-00003.gguf").sibling(1)
    'm-00001-of-00003.gguf'
    """
    found = _NAME.fullmatch(name)
    return PartName(found["stem"], int(found["part"]), int(found["count"])) if found else None


def split_count(metadata: Mapping[str, Any]) -> int:
    """Return of how many files the metadata says that this is one; 1 if it says nothing."""
    count = metadata.get(COUNT, 1)
    return count if isinstance(count, int) else 1


def read_parts(folder: Folder, name: PartName) -> list[tuple[Source, Header]]:
    """Return every part's source and header in order; FormatError for one that is missing."""
    there = set(folder.names())
    numbers = range(1, name.parts + 1)
    missing = [name.sibling(part) for part in numbers if name.sibling(part) not in there]
    if missing or not name.parts:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FormatError(
            folder.name,
            f"it is split in {name.parts} files, and {missing[0]}{others} is not beside it"
            if missing
            else "its name says that it is split in no files",
            "put all parts in one folder",
        )
    parts = []
    for part in numbers:
        source = folder.member(name.sibling(part))
        header = read_header(source)
        _check_part(source, header, part, name.parts)
        parts.append((source, header))
    _check_whole(folder, parts)
    return parts


def _check_part(source: Source, header: Header, part: int, count: int) -> None:
    said = split_count(header.metadata)
    number = header.metadata.get(NUMBER, 0 if said == 1 else None)
    if (said, number) != (count, part - 1):
        raise FormatError(
            source.name,
            f"its name says part {part} of {count}, and its metadata {NUMBER} {number!r} "
            f"(from 0) of {said}",
            "give it the name it was made with",
        )


def _check_whole(folder: Folder, parts: list[tuple[Source, Header]]) -> None:
    """Refuse a tensor in two parts, and a sum of tensors other than the parts agree on."""
    home: dict[str, str] = {}
    for source, header in parts:
        for entry in header.entries:
            if entry.name in home:
                raise FormatError(
                    source.name,
                    f"{entry.name!r} is in it and in {home[entry.name]}",
                    "get the parts of one model",
                )
            home[entry.name] = source.name
    for source, header in parts:
        said = header.metadata.get(TENSORS, len(home))
        if said != len(home):
            raise FormatError(
                source.name,
                f"its {TENSORS} is {said}, and the parts hold {len(home)}",
                "get the parts of one model",
            )


def joined_metadata(parts: list[tuple[Source, Header]]) -> dict[str, Any]:
    """Return the parts' metadata as one, without what only says how it was split.

    FormatError if two parts give one key different values.
    """
    joined: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for source, header in parts:
        for key, value in header.metadata.items():
            if key in (COUNT, NUMBER, TENSORS, TYPES):
                continue
            if key in joined and joined[key] != value:
                raise FormatError(
                    source.name,
                    f"its {key!r} differs from that of a part before it",
                    "get the parts of one model",
                )
            joined.setdefault(key, value)
            if key in (found := header.metadata.get(TYPES, {})):
                types[key] = found[key]
    return {**joined, TYPES: types} if types else joined
