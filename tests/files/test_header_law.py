"""The law of headers: 64 MB and 8 times their size of memory, 1 s and 10 s for 100 MB of CPU.

Each file holds millions of one thing, as short as its format allows. It is read or refused, within
the law: of every field of every format that a file may repeat.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pytest

from tests.files.fresh_process import reading
from tests.files.test_bounds import (
    ARRAY,
    PROTOCOL,
    ROW,
    SCALAR,
    beside_an_array,
    dcp_with,
    flax,
    header,
    text,
)
from tests.formats.orbax import ocdbt_made

M = 1_000_000


def packed(value: object) -> bytes:
    return msgpack.packb({"w": flax(ROW), "a": value})


def record(field: str, value: object) -> str:
    return json.dumps({field: value}, separators=(",", ":"))


def string(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def gguf(entries: bytes, count: int, tensors: bytes = b"", tensor_count: int = 0) -> bytes:
    named = string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama")
    head = b"GGUF" + struct.pack("<IQQ", 3, tensor_count, count + 1) + named + entries + tensors
    return head + bytes(-len(head) % 32)


def gguf_array(kind: int, count: int, items: bytes) -> bytes:
    return gguf(string(b"t") + struct.pack("<IIQ", 9, kind, count) + items, 1)


def each(count: int, make: Callable[[bytes], bytes]) -> bytes:
    """Return what is made of so many short names, one after the other."""
    return b"".join(make(b"%x" % n) for n in range(count))


def index(weight_map: object, metadata: object) -> bytes:
    members = {"metadata": metadata, "weight_map": weight_map}
    return json.dumps(members, separators=(",", ":")).encode()


def zipped(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(count):
            archive.writestr(zipfile.ZipInfo(f"{n:x}"), b"")
    return file.getvalue()


def npz(count: int, array: np.ndarray) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(count):
            archive.writestr(zipfile.ZipInfo(f"{n:x}.npy"), saved(array))
    return file.getvalue()


def tarred(extension: bytes, count: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for n in range(count):
            if extension:
                head = tarfile.TarInfo("x")
                head.type, head.size = b"x", len(extension)
                archive.addfile(head, io.BytesIO(extension))
            archive.addfile(tarfile.TarInfo(f"{n:x}"))
    return file.getvalue()


def short_entries(count: int, form: str) -> bytes:
    """Return a header of the shortest entries, in a form that is not the reference library's."""
    return header(
        b"{" + ",".join(form.replace("#", f"{n:x}") for n in range(count)).encode() + b"}"
    )


def orbax_array(n: int) -> dict[bytes, bytes]:
    """Return the metadata and the only chunk of an array; no two have the same shape."""
    said = {"shape": [n + 1, 0], "chunks": [1, 1], "dtype": "<f4", "compressor": None}
    return {b"%x/.zarray" % n: json.dumps(said, separators=(",", ":")).encode()}


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "texts.msgpack": lambda: packed(["ab"] * 2 * M),
    "long texts.msgpack": lambda: packed([f"some words {n}" for n in range(M)]),
    "numbers of two bytes.msgpack": lambda: packed([1000] * 6 * M),
    "numbers of eight bytes.msgpack": lambda: packed([1.5] * 2 * M),
    "numbers of two types.msgpack": lambda: packed([1, 1000] * 2 * M),
    "numbers of two wide types.msgpack": lambda: packed([1 << 20, 1.5] * M),
    "numbers and texts.msgpack": lambda: packed([1.5, "a text"] * M),
    "numbers and byte strings.msgpack": lambda: packed([1, b""] * M),
    "numbers and lists.msgpack": lambda: packed([1, [1] * 9] * (M // 3)),
    "names.msgpack": lambda: packed({f"{n:x}": 1 for n in range(M)}),
    "byte strings.msgpack": lambda: packed([b""] * M),
    "tensors.msgpack": lambda: msgpack.packb({f"{n:x}": flax(ROW) for n in range(M)}),
    "record.msgpack": lambda: msgpack.packb(
        {"w": flax(ROW), "__caten_sd__": flax(
            np.frombuffer(record("metadata", {"x": ["ab"] * 3 * M}).encode(), "u1"))}
    ),
    "texts.pkl": lambda: beside_an_array(b"\x8c\2ab" * 3 * M),
    "lines.pkl": lambda: beside_an_array(b"V\xc4\x80\n" * 3 * M),
    "byte strings.pkl": lambda: beside_an_array(b"C\2ab" * 3 * M),
    "numbers of two bytes.pkl": lambda: beside_an_array(b"M\0\3" * 6 * M),
    "numbers of one byte.pkl": lambda: beside_an_array(b"K\1" * 9 * M),
    "decimals.pkl": lambda: beside_an_array(b"F1\n" * 3 * M),
    "integers.pkl": lambda: beside_an_array(b"\x8a\2\0\3" * 3 * M),
    "names.pkl": lambda: (
        PROTOCOL + b"}(" + text("w") + ARRAY
        + each(M, lambda name: b"\x8c" + bytes([len(name)]) + name + b"N") + b"u."
    ),
    "numbers as names.pkl": lambda: (
        PROTOCOL + b"}(" + text("w") + ARRAY
        + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(M)) + b"u."
    ),
    "classes.pkl": lambda: beside_an_array(each(M, lambda name: b"ca\n" + name + b"\n")),
    "one class.pkl": lambda: beside_an_array(b"ca\nb\nq\1" + b"h\1" * 3 * M),
    "one class in rows.pkl": lambda: beside_an_array(
        b"ca\nb\nq\1" + (b"(" + b"h\1" * 500 + b"l") * 5000
    ),
    "one tensor.pkl": lambda: beside_an_array(ARRAY + b"q\1" + b"h\1" * 2 * M),
    "copies.pkl": lambda: beside_an_array(ARRAY + b"q\1" + b"2" * 2 * M),
    "objects.pkl": lambda: beside_an_array(b"ca\nb\nq\1" + b"h\1)R" * M),
    "nested tuples.pkl": lambda: PROTOCOL + b")" + b"\x85" * (M // 2) + b".",
    "nested pairs.pkl": lambda: PROTOCOL + b"N" + b")\x86" * (M // 2) + b".",
    "ordered dicts.pkl": lambda: beside_an_array(
        b"ccollections\nOrderedDict\nq\1" + b"h\1)R" * M
    ),
    "paths/.metadata": lambda: dcp_with(
        b"}(" + each(M, lambda name: text(name.decode()) + text("a") + b"\x85") + b"u"
    ),
    "strings.gguf": lambda: gguf_array(8, 5 * M, string(b"") * 5 * M),
    "short strings.gguf": lambda: gguf_array(8, 2 * M, string(b"ab") * 2 * M),
    "arrays.gguf": lambda: gguf_array(9, M, (struct.pack("<IQ", 0, 1) + b"a") * M),
    "empty arrays.gguf": lambda: gguf_array(9, 2 * M, struct.pack("<IQ", 0, 0) * 2 * M),
    "bytes.gguf": lambda: gguf_array(0, 40 * M, bytes(40 * M)),
    "entries.gguf": lambda: gguf(each(M, lambda k: string(k) + struct.pack("<IB", 0, 1)), M),
    "entries of text.gguf": lambda: gguf(
        each(M, lambda k: string(k) + struct.pack("<I", 8) + string(b"ab")), M
    ),
    "entries of arrays.gguf": lambda: gguf(
        each(M, lambda k: string(k) + struct.pack("<IIQB", 9, 0, 1, 1)), M
    ),
    "ties.gguf": lambda: gguf(
        each(M, lambda k: string(b"caten_sd.tied." + k) + struct.pack("<I", 8) + string(b"w")), M
    ),
    "tensors.gguf": lambda: gguf(
        b"", 0, each(M, lambda k: string(k) + struct.pack("<IQIQ", 1, 0, 0, 0)), M
    ),
    "metadata.safetensors": lambda: header(
        {"__metadata__": {f"{n:x}": "a" for n in range(M)}, "w": SCALAR}, bytes(4)
    ),
    "long metadata.safetensors": lambda: header(
        {"__metadata__": {f"key {n}": f"some words {n}" for n in range(M)}, "w": SCALAR}, bytes(4)
    ),
    "numbers.safetensors": lambda: header({"w": {**SCALAR, "shape": [300] * 6 * M}}, bytes(4)),
    "empty entries.safetensors": lambda: header({f"{n:x}": {"b": 0} for n in range(M)}),
    "spaces.safetensors": lambda: short_entries(
        2 * M // 5, '"#":{"dtype":"U8","shape":[0], "data_offsets":[0,0]}'
    ),
    "order of MLX.safetensors": lambda: short_entries(
        2 * M // 5, '"#":{"data_offsets":[0,0],"dtype":"U8","shape":[0]}'
    ),
    "escaped keys.safetensors": lambda: short_entries(
        2 * M // 5, '"\\n#":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    ),
    "wide keys.safetensors": lambda: short_entries(
        2 * M // 5, '"\U0001f600\\n#":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    ),
    "shapes.safetensors": lambda: short_entries(
        2 * M // 5, '"\\n#":{"dtype":"U8","shape":[0,9],"data_offsets":[0,0]}'
    ),
    "entries in an entry.safetensors": lambda: header(
        {"w": {**SCALAR, "x": [{"dtype": "", "shape": [], "data_offsets": [0, 0]}] * (M // 3)}},
        bytes(4),
    ),
    "metadata with spaces.safetensors": lambda: header(
        json.dumps({"w": SCALAR, "__metadata__": {f"{n:x}": "a" for n in range(M)}}).encode(),
        bytes(4),
    ),
    "numbers of an entry.safetensors": lambda: header(
        {"v": {**SCALAR, "dtype": "?", "shape": []}, "w": {**SCALAR, "shape": [300] * 2 * M}}
    ),
    "lists in an entry.safetensors": lambda: header(
        b'{"\\n":{"x":' + b"[" * 9 * M + b"}", bytes(4)
    ),
    "texts.safetensors": lambda: header(
        {"__metadata__": {"__caten_sd__": record("metadata", {"x": ["ab"] * 3 * M})}, "w": SCALAR},
        bytes(4),
    ),
    "ties.safetensors": lambda: header(
        {
            "__metadata__": {"__caten_sd__": record("ties", {f"{n:x}": "w" for n in range(M)})},
            "w": SCALAR,
        },
        bytes(4),
    ),
    "wide text.safetensors": lambda: header(
        json.dumps(
            {"__metadata__": {"x": "\U0001f600" + "a" * 40 * M}, "w": SCALAR}, ensure_ascii=False
        ).encode(),
        bytes(4),
    ),
    "texts/model.safetensors.index.json": lambda: index({}, {"x": ["ab"] * 3 * M}),
    "numbers/model.safetensors.index.json": lambda: index({}, {"x": [300] * 6 * M}),
    "pairs/model.safetensors.index.json": lambda: index({}, {"x": [{"a": 1}] * 2 * M}),
    "quotes/model.safetensors.index.json": lambda: index({}, {"x": '"' * 9 * M}),
    "keys/model.safetensors.index.json": lambda: index(
        {f"{n:x}": "a.safetensors" for n in range(M)}, {}
    ),
    "shards/model.safetensors.index.json": lambda: index(
        {f"{n:x}": f"{n:x}.safetensors" for n in range(M)}, {}
    ),
    "members.zip": lambda: zipped(M // 4),
    "arrays.npz": lambda: npz(M // 4, np.zeros(1)),
    "arrays.eqx": lambda: saved(np.zeros(1)) * (M // 4),
    "members.tar": lambda: tarred(b"", M // 10),
    "members.tar.gz": lambda: gzip.compress(tarred(b"", M // 10)),
    "pax records.tar.gz": lambda: gzip.compress(tarred(b"9 path=a\n" * 110_000, 30)),
    "pax records.tar": lambda: tarred(b"9 path=a\n" * 110_000, 20),
    "values/_METADATA": lambda: ocdbt_made.metadata((f"{n:x}" for n in range(M // 4)), "None"),
    "parts of a path/_METADATA": lambda: index({}, {"x": [{"key": "a", "key_type": 2}] * M}),
    "numbers/_METADATA": lambda: ocdbt_made.metadata([], numbers=[300] * 6 * M),
    "keys/nodes": lambda: ocdbt_made.leaf_node({b"%x" % n: b"" for n in range(M)}),
    "children/nodes": lambda: ocdbt_made.interior_node(
        1, [(b"%x" % n, 0, 0) for n in sorted(range(M), key=lambda n: b"%x" % n)]
    ),
    "files/nodes": lambda: ocdbt_made.block(
        ocdbt_made.NODE, b"\0" + ocdbt_made.files([b"%x" % n for n in range(M)])
    ),
    "arrays/nodes": lambda: ocdbt_made.leaf_node(
        {key: value for n in range(M // 20) for key, value in orbax_array(n).items()}
    ),
    "record/caten_sd.json": lambda: record("metadata", {"x": ["ab"] * 3 * M}).encode(),
}  # fmt: skip


def around_nodes(folder: Path) -> dict[str, bytes]:
    """Return the files around the only node of a store, which lists all arrays that are in it."""
    node = (folder / "nodes").read_bytes()
    names = [f"{n:x}" for n in range(M // 20)] if folder.name == "arrays" else []
    height = int(folder.name == "children")
    manifest = ocdbt_made.manifest(height, 0, len(node))
    return {"manifest.ocdbt": manifest, "_METADATA": ocdbt_made.metadata(names)}


# What makes a folder with such a file a checkpoint.
AROUND: dict[str, Callable[[Path], dict[str, bytes]]] = {
    ".metadata": lambda _: {"__0_0.distcp": b""},
    "caten_sd.json": lambda _: {"w.npy": saved(ROW)},
    "_METADATA": lambda _: {},
    "nodes": around_nodes,
}


def keeps_the_law(path: Path, size: int) -> None:
    """Read a file or folder, whose headers have so many bytes, or have it refused."""
    most, longest = (64 << 20) + 8 * size, 1 + 10 * size / 100e6
    memory, seconds, _ = reading(path, most)
    assert memory <= most
    assert seconds <= 2 * longest  # twice, for a machine with other work to do


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_a_header_takes_no_more_than_the_law_allows(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    size = path.write_bytes(FILES[file]())
    if path.name in AROUND:
        path = path.parent
        for name, data in AROUND[Path(file).name](path).items():
            size += (path / name).write_bytes(data)
    keeps_the_law(path, size)
