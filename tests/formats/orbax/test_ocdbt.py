"""Stores that no writer writes: each is refused in one sentence, in little time and memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import caten_sd as sd
from tests.formats.orbax.ocdbt_made import (
    MANIFEST,
    NODE,
    NODES,
    block,
    files,
    interior_node,
    leaf_node,
    manifest,
    metadata,
    store,
    varint,
    varints,
)
from tests.formats.orbax.test_orbax_folder import unzipped

ZARRAY = b'{"shape": [2], "chunks": [2], "dtype": "<f4", "compressor": null}'
VALUES = {b"w/.zarray": ZARRAY, b"w/0": np.ones(2, "f4").tobytes()}


def test_values_in_a_node_are_read(tmp_path: Path) -> None:
    with sd.read_state_dict(store(tmp_path, b"", leaf_node(VALUES), names=["w"])) as state:
        assert state["w"].numpy().tolist() == [1, 1]


def test_an_empty_store_is_read(tmp_path: Path) -> None:
    absent = 2**64 - 1
    (tmp_path / "manifest.ocdbt").write_bytes(manifest(0, absent, absent))
    (tmp_path / "_METADATA").write_bytes(metadata([]))
    with sd.read_state_dict(tmp_path) as state:
        assert not state


def test_there_are_interior_nodes_in_what_was_written(tmp_path: Path) -> None:
    (file, *_) = (unzipped("interior_nodes", tmp_path) / "d").iterdir()
    heights = [part[10] for part in file.read_bytes().split(NODE.to_bytes(4, "big"))[1:]]
    assert max(heights) > 0


def children_of_one(count: int) -> tuple[bytes, bytes, int]:
    """Return levels of nodes each of which is twice a child of the next: 2 to the count leaves."""
    node, height = leaf_node({b"": b""}), 0
    nodes, at = node, 0
    for height in range(1, count + 1):
        node = interior_node(height, [(b"a", at, len(node)), (b"b", at, len(node))])
        at, nodes = len(nodes), nodes + node
    return nodes[:at], node, height


def leaf_of(columns: bytes) -> bytes:
    """Return a lowest node without files, and with these columns."""
    return block(NODE, b"\0" + files([]) + columns)


REFUSED: dict[str, tuple[Callable[[], tuple[bytes, bytes, int]], str]] = {
    "a node below itself": (
        lambda: (b"", interior_node(1, [(b"", 0, 59)]), 1), "level|two nodes|short|header"
    ),
    "2 to the 60 leaves": (lambda: children_of_one(60), "two nodes name it"),
    "another level": (lambda: (b"", leaf_node(VALUES), 1), "level 1"),
    "a level that no tree has": (
        lambda: (b"", interior_node(200, [(b"", 0, 9)]), 200), "level 200"
    ),
    "the magic number of a manifest": (lambda: (b"", block(MANIFEST, b"\0"), 0), "0cdb20de"),
    "a version to come": (lambda: (b"", block(NODE, b"\0", version=1), 0), "version 1"),
    "an unknown compression": (lambda: (b"", block(NODE, b"\0", method=9), 0), "kind 9"),
    "no entries": (lambda: (b"", leaf_of(b"\0"), 0), "0 entries"),
    "so many entries": (
        lambda: (b"", leaf_of(varint(1 << 40)), 0), "entries"
    ),
    "so many files": (lambda: (b"", block(NODE, b"\0" + varint(1 << 62)), 0), "files"),
    "a number of 11 bytes": (
        lambda: (b"", block(NODE, b"\0" + b"\xff" * 11), 0), "64 bits"
    ),
    "a path with a length that cannot be": (
        lambda: (b"", block(NODE, b"\0" + varints([1, 1 << 50, 0])), 0), "length that cannot be"
    ),
    "keys out of order": (
        lambda: (b"", leaf_of(varints([2, 0, 1, 1]) + b"ba"), 0), "order"
    ),
    "a key that shares more than there is": (
        lambda: (b"", leaf_of(varints([2, 9, 1, 1]) + b"ab"), 0), "key 1"
    ),
    "a value longer than its node": (
        lambda: (b"", leaf_of(varints([1, 1]) + b"a" + varint(1 << 60) + b"\0"), 0),
        "longer than it",
    ),
    "a value of an unknown kind": (
        lambda: (b"", leaf_of(varints([1, 1]) + b"a" + b"\1\7"), 0), "kind 7"
    ),
    "a file that is not in the table": (
        lambda: (b"", leaf_of(varints([1, 1]) + b"a\1\1" + varints([3, 0])), 0),
        "file 3 of 0",
    ),
    "a node that goes on": (
        lambda: (b"", leaf_of(varints([1, 1]) + b"a\0\0" + b"rest"), 0),
        "4 bytes follow",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_node_that_no_writer_writes_is_refused(what: str, tmp_path: Path) -> None:
    make, named = REFUSED[what]
    nodes, root, height = make()
    with pytest.raises(sd.FormatError, match=named):
        sd.read_state_dict(store(tmp_path, nodes, root, height, names=["w"]))


@pytest.mark.parametrize("path", [b"../nodes", b"/etc/passwd", b"d/../../x", b"nodes\0", b""])
def test_a_path_that_leads_outside_is_refused(path: bytes, tmp_path: Path) -> None:
    folder = store(tmp_path / "c", b"", leaf_node(VALUES), names=["w"])
    (folder / "manifest.ocdbt").write_bytes(manifest(0, 0, 100, path))
    (tmp_path / NODES).write_bytes(leaf_node(VALUES))
    with pytest.raises(sd.FormatError, match=r"not a path below|missing|cannot be"):
        sd.read_state_dict(folder)


@pytest.mark.parametrize("at", [0, 4, 13, 20, -1])
def test_one_changed_byte_is_found(at: int, tmp_path: Path) -> None:
    folder = store(tmp_path, b"", leaf_node(VALUES), names=["w"])
    for name in ("manifest.ocdbt", NODES):
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        changed = folder / name
        before = changed.read_bytes()
        changed.write_bytes(data)
        with pytest.raises(sd.FormatError):
            sd.read_state_dict(folder)
        changed.write_bytes(before)


def test_the_last_of_numbered_manifests_is_taken_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = unzipped("numbered", tmp_path)
    numbered = sorted(folder.glob("manifest.0*"))
    assert len(numbered) > 1
    for each in numbered:
        each.unlink()
    with pytest.raises(sd.FormatError, match="numbered manifests"):
        sd.read_state_dict(folder)


def test_a_file_of_values_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = unzipped("numbered", tmp_path)
    for each in (folder / "d").iterdir():
        each.unlink()
    with pytest.raises(sd.FormatError, match=r"file 'd/[0-9a-f]{32}' is missing"):
        sd.read_state_dict(folder)


def test_a_manifest_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = unzipped("interior_nodes", tmp_path)
    (folder / "manifest.ocdbt").unlink()
    with pytest.raises(sd.FormatError, match=r"no manifest\.ocdbt"):
        sd.read_state_dict(folder)
