"""Where the nodes and values of an OCDBT store are: bytes of the files that a node names."""

from __future__ import annotations

from typing import NamedTuple

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.varint_columns import Columns
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

_MOST_FILES = 1 << 20
_LONGEST = 65535  # bytes of a path, as in tensorstore
_FILE = 300  # bytes that a file of the table takes


class FileRange(NamedTuple):
    """Some bytes of a file below the folder."""

    path: str
    offset: int
    length: int


class FileTable(NamedTuple):
    """The files that a node names, each with the folder with which the paths in it begin."""

    paths: list[str]
    bases: list[str]


def read_files(columns: Columns, base: str, memory: HeaderMemory) -> FileTable:
    """Return the table at the beginning of a node that was found below the folder ``base``."""
    count = columns.varint()
    if count > _MOST_FILES:
        columns.refuse(f"it names {count:,} files")
    prefixes = [0, *columns.varints(max(count - 1, 0)).tolist()][:count]
    suffixes, bases = columns.varints(count).tolist(), columns.varints(count).tolist()
    files, path = FileTable([], []), b""
    for prefix, suffix, own in zip(prefixes, suffixes, bases, strict=True):
        size = prefix + suffix
        if prefix > len(path) or own > size or len(base) + size > _LONGEST:
            columns.refuse("a path in it has a length that cannot be")
        memory.take(_FILE + 2 * (len(base) + size))
        path = path[:prefix] + columns.take(suffix)
        files.paths.append(base + path.decode("utf-8", "surrogateescape"))
        files.bases.append(base + path[:own].decode("utf-8", "surrogateescape"))
    return files


def data_file(folder: FolderBelow, path: str) -> Source:
    """Return a file that holds values or nodes; FormatError if it is missing."""
    if not folder.has(path):
        problem = f"its file {path!r} is missing"
        raise FormatError(folder.name, problem, "get all files of the folder again")
    return folder.member(path, held=True)
