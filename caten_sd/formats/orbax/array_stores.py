"""The values by key that arrays are made of: files below a folder, or an OCDBT store."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from caten_sd.errors import FormatError
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

    def find_again(self, key: str) -> Source | None:
        """Return the same for a key after ``holds``; FormatError if it changed since then."""

    def has_many(self, start: str, count: int) -> bool:
        """Return whether so many keys begin like this, as far as that is known at once."""


class FileStore:
    """Files below a folder, whose paths are the keys."""

    def __init__(self, folder: FolderBelow) -> None:
        self._folder, self.stored = folder, 0
        self._absent: set[str] = set()
        self._newest = 0  # when the last of the files was changed

    def find(self, key: str) -> Source | None:
        """Return the bytes of a file, unread; None if there is none."""
        return self._folder.member(key) if self._folder.has(key) else None

    def holds(self, key: str) -> bool:
        """Return whether there is such a file."""
        known = self._folder.stat(key)
        if known is None:
            self._absent.add(key)
            return False
        self.stored += known.st_size
        self._newest = max(self._newest, known.st_ctime_ns)
        return True

    def find_again(self, key: str) -> Source | None:
        """Return the bytes of a file; one that was removed since then is not an absent one."""
        known = self._folder.stat(key)
        if known is None and key in self._absent:
            return None
        if known is None or known.st_ctime_ns > self._newest:
            what = "removed" if known is None else "changed"
            problem = f"its file {key} was {what} after it was opened"
            raise FormatError(self._folder.name, problem, "open it again")
        return self._folder.member(key)

    def has_many(self, start: str, count: int) -> bool:
        """Return False: other files may lie among them."""
        return False


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

    find_again = find

    def holds(self, key: str) -> bool:
        """Return whether there is a value."""
        return self._place(_key(key)) is not None

    def has_many(self, start: str, count: int) -> bool:
        """Return whether so many keys begin like this, which then follow one another."""
        first = _key(start)
        at = max(bisect_right(self._firsts, first) - 1, 0)
        position = self._nodes[at].position(first) if self._nodes else 0
        last = position + count - 1
        for node in self._nodes[at:]:
            if last < len(node.keys):
                return node.keys[last].startswith(first)
            last -= len(node.keys)
        return False


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
