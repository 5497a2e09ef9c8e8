"""The values by key that arrays are made of: files below a folder, or an OCDBT store."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.ocdbt_leaf import LeafNode
from caten_sd.state.source import Source


class ArrayStore(Protocol):
    """Values by key, of which a leaf reads those that it needs."""

    stored: int  # the bytes that it is known to hold

    def find(self, key: str) -> Source | None:
        """Return the bytes of a value, unread; None if there is none."""

    def holds(self, key: str) -> bool:
        """Return whether there is a value."""

    def count(self, start: str) -> int | None:
        """Return how many keys begin like this; None if that is not known."""


class FileStore:
    """Files below a folder, whose paths are the keys."""

    def __init__(self, folder: FolderBelow) -> None:
        self._folder, self.stored = folder, 0

    def find(self, key: str) -> Source | None:
        """Return the bytes of a file, unread; None if there is none."""
        return self._folder.member(key) if self._folder.has(key) else None

    def holds(self, key: str) -> bool:
        """Return whether there is such a file."""
        size = self._folder.size(key)
        self.stored += size
        return size > 0 or self._folder.has(key)

    def count(self, start: str) -> None:
        """Return None: other files may lie among them."""


class OcdbtStore:
    """The values of an OCDBT store."""

    def __init__(self, nodes: Sequence[LeafNode]) -> None:
        self._nodes = nodes
        self._firsts = [node.keys[0] for node in nodes]
        self.stored = sum(node.stored for node in nodes)

    def _place(self, key: bytes) -> tuple[LeafNode, int] | None:
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return None
        node = self._nodes[at]
        position = node.position(key)
        found = position < len(node.keys) and node.keys[position] == key
        return (node, position) if found else None

    def find(self, key: str) -> Source | None:
        """Return the bytes of a value, unread; None if there is none."""
        found = self._place(_key(key))
        return found[0].source(found[1], key) if found else None

    def holds(self, key: str) -> bool:
        """Return whether there is a value."""
        return self._place(_key(key)) is not None

    def count(self, start: str) -> int:
        """Return how many keys begin like this."""
        first = _key(start)
        after = first[:-1] + bytes([first[-1] + 1])
        return self._rank(after) - self._rank(first)

    def _rank(self, key: bytes) -> int:
        """Return how many keys are before this one."""
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return 0
        return sum(len(node.keys) for node in self._nodes[:at]) + self._nodes[at].position(key)


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
