"""Stores of OCDBT with what no writer writes, not packed, their checksums right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from caten_sd.formats.orbax.crc32c import crc32c

MANIFEST, NODE = 0x0CDB3A2A, 0x0CDB20DE
NODES = "nodes"  # the file with all nodes


def varint(number: int) -> bytes:
    found = b""
    while number >= 128:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def varints(numbers: Iterable[int]) -> bytes:
    return b"".join(map(varint, numbers))


def block(magic: int, body: bytes, *, version: int = 0, method: int = 0) -> bytes:
    rest = varint(version) + varint(method) + body
    data = magic.to_bytes(4, "big") + (len(rest) + 16).to_bytes(8, "little") + rest
    return data + crc32c(data).to_bytes(4, "little")


def files(names: Sequence[bytes]) -> bytes:
    """Return a table of files, none of which shares a beginning or has a base."""
    return varints([len(names), *[0] * (len(names) - 1), *map(len, names), *[0] * len(names)]) + (
        b"".join(names)
    )


def leaf_node(values: Mapping[bytes, bytes]) -> bytes:
    """Return a node with these values in it."""
    keys = sorted(values)
    columns = [0] * (len(keys) - 1), map(len, keys)
    head = varint(len(keys)) + b"".join(map(varints, columns)) + b"".join(keys)
    sizes = varints(len(values[key]) for key in keys)
    inline = bytes(len(keys)) + b"".join(values[key] for key in keys)
    return block(NODE, b"\0" + files([]) + head + sizes + inline)


def interior_node(height: int, children: Sequence[tuple[bytes, int, int]]) -> bytes:
    """Return a node of children: the first key of each, where it begins, and its length."""
    keys, offsets, lengths = zip(*children, strict=True)
    count = len(children)
    body = bytes([height]) + files([NODES.encode()]) + varint(count)
    body += varints([0] * (count - 1)) + varints(map(len, keys)) + bytes(count) + b"".join(keys)
    return block(NODE, body + bytes(count) + varints(offsets) + varints(lengths) + bytes(3 * count))


def manifest(height: int, offset: int, length: int, path: bytes = NODES.encode()) -> bytes:
    config = bytes(16) + b"\0" + varint(100) + varint(1 << 20) + b"\4" + varint(0)
    version = varint(1) + varint(1) + bytes([height])
    root = varint(0) + varint(offset) + varint(length) + bytes(3)
    return block(MANIFEST, config + files([path]) + version + root + bytes(8) + varint(0))


def metadata(names: Iterable[str], kind: str = "jax.Array", **fields: object) -> bytes:
    about = {"value_type": kind, "skip_deserialize": kind == "None"}
    tree = {
        name: {"key_metadata": [{"key": name, "key_type": 2}], "value_metadata": about}
        for name in names
    }
    stores_all = {"store_array_data_equal_to_fill_value": True}
    return json.dumps({"tree_metadata": tree, **stores_all, **fields}).encode()


def store(
    folder: Path, nodes: bytes, root: bytes, height: int = 0, names: Sequence[str] = ()
) -> Path:
    """Write a store whose file of nodes ends with the root."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NODES).write_bytes(nodes + root)
    (folder / "manifest.ocdbt").write_bytes(manifest(height, len(nodes), len(root)))
    (folder / "_METADATA").write_bytes(metadata(names))
    return folder
