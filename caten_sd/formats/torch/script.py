"""The parameters and buffers that the source of a TorchScript archive declares.

The source is read as text and never run.
"""

from __future__ import annotations

import re

from caten_sd.encodings.zip_archive import ZipArchive
from caten_sd.errors import FormatError

MAX_SOURCE = 16 << 20  # bytes of one member

_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_DECLARED = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)
_NAME = re.compile(r'"(\w+)"')


class ScriptClasses:
    """The classes of an archive; its folder ``code/`` holds one file for each of their modules."""

    def __init__(self, archive: ZipArchive, root: str) -> None:
        self._archive, self._folder = archive, f"{root}/code"
        self._known: dict[str, frozenset[str]] = {}
        self._read: set[str] = set()

    def attributes(self, name: str) -> frozenset[str] | None:
        """Return the names of a class's parameters and buffers; None if it has no source."""
        module = name.rpartition(".")[0]
        if module not in self._read:
            self._read.add(module)
            self._known.update(self._declared(module))
        return self._known.get(name)

    def _declared(self, module: str) -> dict[str, frozenset[str]]:
        member = f"{self._folder}/{module.replace('.', '/')}.py"
        if member not in self._archive:
            return {}
        try:
            text = self._archive.read(member, limit=MAX_SOURCE).decode()
        except UnicodeDecodeError:
            raise FormatError(self._archive.source.name, f"its {member} is not text") from None
        starts = list(_CLASS.finditer(text))
        ends = [start.start() for start in starts[1:]] + [len(text)]
        return {
            f"{module}.{start[1]}": _names(text[start.start() : end])
            for start, end in zip(starts, ends, strict=True)
        }


def _names(text: str) -> frozenset[str]:
    return frozenset(name for line in _DECLARED.findall(text) for name in _NAME.findall(line))
