"""A GGUF model split over several files, ``name-00001-of-00003.gguf`` and so on.

llama-gguf-split and gguf-py write ``split.count``, ``split.no`` and ``split.tensors.count`` into
each file, and all other metadata into the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.files.shard_names import ShardName, shard_name
from caten_sd.formats.gguf.header import Header, read_header
from caten_sd.formats.gguf.values import TYPES
from caten_sd.state.source import Folder, Source
from caten_sd.wording import counted, first_few

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"
ONE_MODEL = "get all files of one model"


def split_name(name: str) -> ShardName | None:
    """Return what the name of a split model's file says, or None for any other name."""
    known = shard_name(name)
    return known if known and known.suffix == ".gguf" else None


def split_count(metadata: Mapping[str, Any]) -> int:
    """Return the number of files of the model, from the metadata of one; 1 if it is not split."""
    count = metadata.get(COUNT, 1)
    return count if isinstance(count, int) else 1


def read_split(folder: Folder, name: ShardName) -> list[tuple[Source, Header]]:
    """Return the source and the header of every file in order; FormatError if one is missing."""
    there = set(folder.names())
    names = [str(name._replace(number=number)) for number in range(1, name.total + 1)]
    missing = [each for each in names if each not in there]
    if missing or not names:
        verb = "is" if len(missing) == 1 else "are"
        problem = f"{first_few(missing, 1)} {verb} missing" if missing else "that is not possible"
        raise FormatError(
            folder.name,
            f"by their names the model has {counted(name.total, 'file')}, and {problem}",
            "put all files in one folder",
        )
    files = []
    for number, each in enumerate(names):
        source = folder.member(each)
        header = read_header(source)
        _check_number(source, header, number, name.total)
        files.append((source, header))
    _check_tensors(files)
    return files


def _check_number(source: Source, header: Header, number: int, total: int) -> None:
    count = split_count(header.metadata)
    recorded = header.metadata.get(NUMBER, 0 if count == 1 else None)
    if (recorded, count) != (number, total):
        raise FormatError(
            source.name,
            f"its name says file {number + 1} of {total}, but its metadata says {NUMBER} "
            f"{recorded!r} (from 0) and {COUNT} {count}",
            "give it back its original name",
        )


def _check_tensors(files: list[tuple[Source, Header]]) -> None:
    """Refuse a tensor in two files, and a total that differs from the recorded one."""
    holders: dict[str, str] = {}
    for source, header in files:
        for name in header.tensors.names:
            if name in holders:
                raise FormatError(
                    source.name, f"{name!r} is in it and in {holders[name]}", ONE_MODEL
                )
            holders[name] = source.name
    for source, header in files:
        recorded = header.metadata.get(TENSORS, len(holders))
        if recorded != len(holders):
            raise FormatError(
                source.name,
                f"its {TENSORS} is {recorded}, but all files together have {len(holders)}",
                ONE_MODEL,
            )


def joined_metadata(files: list[tuple[Source, Header]]) -> dict[str, Any]:
    """Return the metadata of all files as one, without the entries about the split.

    FormatError if two files give one key different values.
    """
    joined: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for source, header in files:
        for key, value in header.metadata.items():
            if key in (COUNT, NUMBER, TENSORS, TYPES):
                continue
            if key in joined and joined[key] != value:
                raise FormatError(
                    source.name, f"its {key!r} differs from that of an earlier file", ONE_MODEL
                )
            joined.setdefault(key, value)
            if key in (found := header.metadata.get(TYPES, {})):
                types[key] = found[key]
    return {**joined, TYPES: types} if types else joined
