"""Changes to a file that keep its structure, for each format that has one."""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
from random import Random
from typing import Any

import msgpack

from caten_sd.formats.orbax.crc32c import crc32c
from caten_sd.testing.damage import (
    SIZES,
    Mutator,
    StructureError,
    cut,
    flipped,
    sized,
    spliced,
)

VALUES: list[Any] = [None, True, -1, 0, 1, 1 << 63, 1 << 200, 1.5, 1e400, "", "x" * 300, "\ud800"]
VALUES += ["\x1b[2J", "../../etc/passwd", [], {}, [[[]]], {"a": {"b": 1}}, "F32", "a\nb", [1] * 70]


def changed_tree(tree: Any, random: Random) -> Any:
    """Return a tree of dicts and lists with one value, name or branch changed."""
    if random.random() < 0.25 or not isinstance(tree, (dict, list)) or not tree:
        return random.choice([*VALUES, tree, [tree, tree], {"": tree}])
    if isinstance(tree, list):
        at = random.randrange(len(tree))
        return [*tree[:at], changed_tree(tree[at], random), *tree[at + 1 :]]
    name = random.choice(list(tree))
    kind = random.randrange(4)
    if kind == 0:
        return {key: value for key, value in tree.items() if key != name}
    if kind == 1:
        other = random.choice(["", "__metadata__", "__caten_sd__", "a" * 200, "\x07", "..", name])
        return {(other if key == name else key): value for key, value in tree.items()}
    return {**tree, name: changed_tree(tree[name], random)}


def json_of(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=True).encode()


def header_json(data: bytes, random: Random) -> bytes:
    """Change the JSON header of safetensors, its length kept right."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise StructureError from None
    text = json_of(changed_tree(header, random))
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def plain_json(data: bytes, random: Random) -> bytes:
    try:
        return json_of(changed_tree(json.loads(data), random))
    except (ValueError, RecursionError):
        raise StructureError from None


def opcodes(data: bytes, random: Random) -> bytes:
    """Drop, repeat, move or swap whole opcodes of the first pickle in the bytes."""
    start = data.find(b"\x80")
    try:
        ops = [at for _, _, at in pickletools.genops(data[start:])] if start >= 0 else []
    except Exception:  # pickletools raises what it meets
        raise StructureError from None
    if len(ops) < 4:
        raise StructureError
    bounds = [start + at for at in ops]
    pieces = [data[a:b] for a, b in zip(bounds, [*bounds[1:], bounds[-1] + 1], strict=True)]
    at, other = random.randrange(1, len(pieces)), random.randrange(1, len(pieces))
    kind = random.randrange(5)
    if kind == 0:
        del pieces[at]
    elif kind == 1:
        pieces[at:at] = [pieces[other]] * random.choice([1, 2, 50])
    elif kind == 2:
        pieces[at], pieces[other] = pieces[other], pieces[at]
    elif kind == 3:
        pieces[at] = random.choice([b"K\x00", b"N", b")", b"]", b"}", b"(", b"t", b"R", b"b", b"Q"])
    else:
        name = random.choice([b"os\nsystem", b"torch\nload", b"builtins\neval", b"a.b\nc"])
        pieces[at] = b"c" + name + b"\n"
    return data[:start] + b"".join(pieces) + data[bounds[-1] + 1 :]


def zip_member(inner: Mutator) -> Mutator:
    """Return a mutator of one member of a zip, which is packed again with the right checksum."""

    def change(data: bytes, random: Random) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        except Exception:  # zipfile raises what it meets
            raise StructureError from None
        if not members:
            raise StructureError
        named = [name for name in members if name.endswith((".pkl", ".npy", ".json"))]
        chosen = random.choice(named or list(members))
        members[chosen] = inner(members[chosen], random)
        file = io.BytesIO()
        method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return file.getvalue()

    return change


def zip_fields(data: bytes, random: Random) -> bytes:
    """Put an interesting number into a field of a zip's local or central headers or its end."""
    fields = {b"PK\3\4": (6, 8, 14, 18, 22, 26, 28), b"PK\1\2": (8, 10, 16, 20, 24, 28, 30, 42)}
    fields[b"PK\5\6"] = (8, 10, 12, 16, 20)
    magic = random.choice(list(fields))
    at = data.find(magic, random.randrange(len(data) + 1))
    if at < 0:
        raise StructureError
    at += random.choice(fields[magic])
    width = random.choice([2, 4])
    number = random.choice(SIZES) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, "little") + data[at + width :]


def npy_header(data: bytes, random: Random) -> bytes:
    """Change the text of an .npy header, its length kept right."""
    if data[:6] != b"\x93NUMPY" or len(data) < 10:
        raise StructureError
    length = int.from_bytes(data[8:10], "little")
    text = data[10 : 10 + length].decode("latin1")
    old = random.choice(["'<f4'", "(3, 4)", "False", "'descr'", "'shape'", "{", "}", ",", ": "])
    shapes = ["()", "(3, -4)", "(1e9,)", "(10**9,)", "(2,) * 9", f"({'9' * 5000},)", "(1, " * 80]
    dtypes = ["'|O'", "'<f8'", "'>c16'", "'<V2'", "[('a', '<f4')]", "''"]
    new = random.choice([*shapes, *dtypes, "True", "None", "(((("])
    text = text.replace(old, new, 1)[:60000]
    return data[:8] + len(text).to_bytes(2, "little") + text.encode("latin1") + data[10 + length :]


def gguf_field(data: bytes, random: Random) -> bytes:
    """Put an interesting number at one of the places of the header that hold one."""
    end = min(len(data), 600)
    at = random.choice([4, 8, 16, 24, *range(24, max(end, 25))])
    width = random.choice([4, 8])
    number = random.choice([*range(14), *SIZES]) % (1 << 8 * width)
    return data[:at] + struct.pack("<Q", number)[:width] + data[at + width :]


def packed_tree(data: bytes, random: Random) -> bytes:
    try:
        tree = msgpack.unpackb(data, strict_map_key=False)
        changed = changed_tree(tree, random)
        found: bytes = msgpack.packb(changed, use_bin_type=True, unicode_errors="surrogatepass")
    except Exception:  # msgpack raises what it meets
        raise StructureError from None
    return found


def tar_field(data: bytes, random: Random) -> bytes:
    """Change a field of a tar header, and make its checksum right again."""
    blocks = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not blocks:
        raise StructureError
    at = random.choice(blocks)
    block = bytearray(data[at : at + 512])
    start, stop = random.choice(TAR_FIELDS)
    text = random.choice([b"../x", b"7" * 12, b"-1", b"\xff" * 12, *TAR_KINDS, b""])
    block[start:stop] = text[: stop - start].ljust(stop - start, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


# The name, mode, size, kind, link and prefix of a ustar header; kinds that are not plain files.
TAR_FIELDS = [(0, 100), (100, 108), (124, 136), (156, 157), (157, 257), (345, 500)]
TAR_KINDS = [b"L", b"x", b"1", b"2", b"S"]


def ocdbt_block(data: bytes, random: Random) -> bytes:
    """Change the body of a block of OCDBT, its length and checksum kept right."""
    starts = [at for at in range(len(data) - 16) if data[at : at + 2] == b"\x0c\xdb"]
    if not starts:
        raise StructureError
    at = random.choice(starts)
    size = int.from_bytes(data[at + 4 : at + 12], "little")
    if not 16 <= size <= len(data) - at:
        raise StructureError
    body = random.choice([flipped, sized, cut, spliced])(data[at + 12 : at + size - 4], random)
    block = data[at : at + 4] + (len(body) + 16).to_bytes(8, "little") + body
    return data[:at] + block + crc32c(block).to_bytes(4, "little") + data[at + size :]


STRUCTURED: dict[str, tuple[Mutator, ...]] = {
    "safetensors": (header_json, header_json),
    "torch-zip": (zip_member(opcodes), zip_member(opcodes), zip_member(flipped), zip_fields),
    "torch-export": (zip_member(plain_json), zip_member(plain_json), zip_fields),
    "torch-legacy": (opcodes, opcodes),
    "npz": (zip_member(npy_header), zip_member(flipped), zip_fields),
    "npy": (npy_header,),
    "eqx": (npy_header,),
    "gguf": (gguf_field, gguf_field),
    "msgpack": (packed_tree, packed_tree),
    "archive": (tar_field, zip_fields),
    "sharded": (plain_json, header_json),
    "dcp": (opcodes, zip_member(opcodes)),
    "npy-folder": (npy_header, plain_json),
    "orbax": (plain_json, ocdbt_block, ocdbt_block),
}
