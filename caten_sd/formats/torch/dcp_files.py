"""What the files of a torch distributed checkpoint are called.

``__P_N.distcp`` is file N of process P; ``.metadata`` lists the tensors in all of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from caten_sd.errors import FormatError
from caten_sd.files.file_set import FileSet
from caten_sd.formats.torch.dcp_metadata import read_dcp_metadata
from caten_sd.state.source import open_file

METADATA, SUFFIX = ".metadata", ".distcp"

_NAME = re.compile(r"__([0-9]{1,6})_[0-9]+\.distcp")


def data_files(names: Iterable[str]) -> list[str]:
    """Return the names that have the suffix of a process's file."""
    return [name for name in names if name.endswith(SUFFIX)]


def process_numbers(names: Iterable[str]) -> set[int]:
    """Return the processes that wrote these files.

    >>> sorted(process_numbers(["__0_0.distcp", "__2_0.distcp", "__2_1.distcp", "x.distcp"]))
    [0, 2]
    """
    return {int(found[1]) for name in names if (found := _NAME.fullmatch(name))}


def next_process(names: Iterable[str]) -> int:
    """Return a process number above those of all these files.

    >>> next_process([]), next_process(["__0_0.distcp", "__2_0.distcp"])
    (0, 3)
    """
    return max(process_numbers(names), default=-1) + 1


def replaced_files(files: FileSet) -> list[str]:
    """Return the data files that are of no use after the next commit.

    Without locks, a file that the .metadata does not name may belong to another save.
    """
    found = data_files(files.names())
    if files.locked:
        return found
    named: set[str] = set()
    with (
        contextlib.suppress(FormatError),
        contextlib.closing(open_file(files.folder / METADATA)) as source,
    ):
        entries = read_dcp_metadata(source).entries.values()
        named = {chunk.record.path for each in entries for chunk in each.chunks if chunk.record}
    return [name for name in found if name in named]
