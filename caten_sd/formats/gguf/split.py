"""A GGUF model split over several files, ``name-00001-of-00003.gguf`` and so on.

As llama-gguf-split and gguf-py write them: ``split.count``, ``split.no`` and
``split.tensors.count`` in each part, all other metadata in the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.files.shard_names import ShardName, shard_name
from caten_sd.formats.gguf.header import Header, read_header
from caten_sd.formats.gguf.values import TYPES
from caten_sd.state.source import Folder, Source
from caten_sd.wording import first_few

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"


def part_name(name: str) -> ShardName | None:
    """Return what the name of a part says, or None if it is no such name."""
    known = shard_name(name)
    return known if known and known.suffix == ".gguf" else None


def split_count(metadata: Mapping[str, Any]) -> int:
    """Return of how many files the metadata says that this is one; 1 if it says nothing."""
    count = metadata.get(COUNT, 1)
    return count if isinstance(count, int) else 1


def read_parts(folder: Folder, name: ShardName) -> list[tuple[Source, Header]]:
    """Return every part's source and header in order; FormatError for one that is missing."""
    there = set(folder.names())
    names = [str(name._replace(number=number)) for number in range(1, name.total + 1)]
    missing = [each for each in names if each not in there]
    if missing or not names:
        verb = "is" if len(missing) == 1 else "are"
        absent = f"{first_few(missing, 1)} {verb} not beside it"
        problem = absent if missing else "that is none"
        raise FormatError(
            folder.name,
            f"it is split in {name.total} files, and {problem}",
            "put all parts in one folder",
        )
    parts = []
    for number, each in enumerate(names):
        source = folder.member(each)
        header = read_header(source)
        _check_part(source, header, number, name.total)
        parts.append((source, header))
    _check_whole(folder, parts)
    return parts


def _check_part(source: Source, header: Header, number: int, count: int) -> None:
    counted = split_count(header.metadata)
    said = header.metadata.get(NUMBER, 0 if counted == 1 else None)
    if (said, counted) != (number, count):
        raise FormatError(
            source.name,
            f"its name says part {number + 1} of {count}, and its metadata {NUMBER} {said!r} "
            f"(from 0) of {counted}",
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
