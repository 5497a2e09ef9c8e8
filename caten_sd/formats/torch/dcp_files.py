"""What the files of a torch distributed checkpoint are called.

``__P_N.distcp`` is file N of process P; ``.metadata`` lists the tensors in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

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
