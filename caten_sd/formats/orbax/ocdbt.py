"""OCDBT: the values by key that TensorStore keeps in a few files, in a B+ tree.

Format: tensorstore/kvstore/ocdbt, "Storage format" (0.1.86). A manifest names the root of the tree;
what a node holds lies in columns. Read without tensorstore, which takes 66 MB and 0.2 s to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.ocdbt_blocks import MANIFEST, NODE, block_body
from caten_sd.formats.orbax.ocdbt_keys import read_keys
from caten_sd.formats.orbax.ocdbt_leaf import LeafNode
from caten_sd.formats.orbax.ocdbt_places import FileRange, FileTable, data_file, read_files
from caten_sd.formats.orbax.orbax_steps import MANIFEST_NAME
from caten_sd.formats.orbax.varint_columns import Columns
from caten_sd.state.header_memory import HeaderMemory

_NUMBERED = re.compile(r"manifest\.[0-9a-f]{16}")
_ABSENT = 2**64 - 1  # the offset and length of the root of an empty tree
_TALLEST = 64  # levels of nodes
_CHILD = 600  # bytes that a child of a node takes


class _Child(NamedTuple):
    """Where a node is, the folder with which its paths begin, and what its keys begin with."""

    place: FileRange
    base: str
    prefix: bytes


def read_ocdbt(folder: FolderBelow, memory: HeaderMemory) -> list[LeafNode]:
    """Return the nodes with the keys and values of a store, in order."""
    height, root = _newest_root(folder, memory)
    return [] if root is None else list(_leaves(folder, memory, root, height))


def _newest_root(folder: FolderBelow, memory: HeaderMemory) -> tuple[int, _Child | None]:
    columns = _manifest(folder, MANIFEST_NAME, memory)
    kind = _config(columns)
    if kind == 1:
        numbered = [each for each in folder.files() if _NUMBERED.fullmatch(each)]
        if not numbered:
            columns.refuse("it says that its versions are in numbered manifests, and there is none")
        columns = _manifest(folder, max(numbered), memory)
        kind = _config(columns)
    if kind:
        columns.refuse(f"it is a manifest of the unknown kind {kind}")
    return _last_version(columns, memory)


def _manifest(folder: FolderBelow, name: str, memory: HeaderMemory) -> Columns:
    source = folder.member(name)
    memory.add(source.size)
    return block_body(source, MANIFEST, memory)


def _config(columns: Columns) -> int:
    """Pass the configuration, and return whether versions follow (0) or are elsewhere (1)."""
    columns.take(16)
    kind = columns.byte()
    columns.varints(2)
    columns.byte()
    if columns.varint() == 1:
        columns.take(4)
    return kind


def _last_version(columns: Columns, memory: HeaderMemory) -> tuple[int, _Child | None]:
    """Return the height of the newest version's tree, and its root; None if the tree is empty."""
    files = read_files(columns, "", memory)
    count = columns.varint()
    if not count:
        columns.refuse("it lists no version")
    columns.varints(count)  # generations
    heights = columns.take(count)
    number, offset, length = (int(columns.varints(count)[-1]) for _ in range(3))
    if offset == length == _ABSENT:
        return 0, None
    return heights[-1], _child(columns, files, number, offset, length, b"")


def _leaves(
    folder: FolderBelow, memory: HeaderMemory, root: _Child, height: int
) -> Iterator[LeafNode]:
    """Yield the lowest nodes of a tree from left to right."""
    waiting, seen = [(root, height)], set[FileRange]()
    while waiting:
        child, height = waiting.pop()
        path, offset, length = child.place
        label = f"{folder.name}/{path}, the node at {offset}"
        source = data_file(folder, path).window(offset, length, label)
        memory.add(source.size)
        columns = block_body(source, NODE, memory)
        if child.place in seen:  # such a tree unfolds without bound
            columns.refuse("two nodes name it")
        seen.add(child.place)
        if columns.byte() != height or height > _TALLEST:
            columns.refuse(f"it is not of the level {height} at which it is named")
        files = read_files(columns, child.base, memory)
        if height:
            below = _children(columns, files, child.prefix, memory)
            waiting += [(each, height - 1) for each in reversed(below)]
        else:
            yield LeafNode(folder, columns, files, child.prefix, memory)


def _children(
    columns: Columns, files: FileTable, prefix: bytes, memory: HeaderMemory
) -> list[_Child]:
    keys, commons = read_keys(columns, prefix, memory, interior=True)
    count = len(keys)
    memory.take(_CHILD * count)
    numbers, offsets, lengths = (columns.varints(count).tolist() for _ in range(3))
    columns.varints(3 * count)  # statistics
    columns.end()
    return [
        _child(columns, files, *place, keys[at][: len(prefix) + commons[at]])
        for at, place in enumerate(zip(numbers, offsets, lengths, strict=True))
    ]


def _child(
    columns: Columns, files: FileTable, number: int, offset: int, length: int, prefix: bytes
) -> _Child:
    if number >= len(files.paths):
        columns.refuse(f"it names file {number} of {len(files.paths)}")
    return _Child(FileRange(files.paths[number], offset, length), files.bases[number], prefix)
