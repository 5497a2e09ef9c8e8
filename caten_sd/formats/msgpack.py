"""msgpack: a tree of named arrays, as flax.serialization writes it.

Format: flax/serialization.py (0.10). Extension 1 is an array (shape, name of the dtype, bytes), 2
is a complex number, 3 is a numpy scalar; an array over 1 GiB is a map of chunks. Keys are nested at
their dots, as Flax restores them. The key ``__caten_sd__`` holds ties and metadata as an array of
bytes, since libraries put each value of such a file on a device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from caten_sd.encodings.msgpack import (
    Cursor,
    Payload,
    pack_count,
    pack_ext,
    pack_size,
    pack_text,
)
from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.sidecar import EMPTY, MAX_RECORD, RECORD, Sidecar, parse_sidecar
from caten_sd.files.stored_specs import refuse_surrogates, stored_specs
from caten_sd.files.which_tree import is_one_tree
from caten_sd.state.dtype import DTYPES
from caten_sd.state.indexing import is_shape
from caten_sd.state.joined_backing import JoinedBacking
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque, Spec, are_plain
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import a_or_an, counted

ARRAY, COMPLEX, SCALAR, TIMESTAMP = 1, 2, 3, -1
CHUNKED = "__msgpack_chunked_array__"
CHUNK = 1 << 30  # bytes, as in Flax
MAX_LOOKS = 64  # values; a real file has an array among the first


class Msgpack(Format):
    """The msgpack format of Flax."""

    name = "msgpack"
    suffixes = (".msgpack",)
    sources = ("file",)


@recognize.register(Msgpack, Source)
def _recognize(format: Msgpack, source: Source, /) -> str | None:
    """Return evidence if maps with text keys lead to a Flax array; msgpack has no magic number."""
    cursor = Cursor(source)
    try:
        return _path_to_array(cursor)
    except FormatError:
        return None


def _path_to_array(cursor: Cursor) -> str | None:
    """Follow the first maps down, skipping a few other values (a version, a configuration)."""
    keys: list[str] = []
    for _ in range(MAX_LOOKS):
        at = cursor.at
        kind, count = cursor.header()
        if kind == "ext":
            is_array = cursor.take(1)[0] in (ARRAY, COMPLEX, SCALAR)
            return f"a Flax array at {'.'.join(keys)}" if keys and is_array else None
        if kind != "map":
            if not keys:
                return None
            cursor.at = at
            cursor.value()
            keys = keys[:-1]
        elif not count:
            return None
        key = cursor.key()
        if not key.isprintable():
            return None
        keys.append(key)
    return None


@read.register(Msgpack, Source)
def _read(format: Msgpack, source: Source, /) -> Contents:
    cursor = Cursor(source)
    value = cursor.value()
    if cursor.at != source.size:
        cursor.refuse(
            f"{counted(source.size - cursor.at, 'byte follows', 'bytes follow')} its value"
        )
    if not isinstance(value, dict):
        cursor.refuse(f"it holds {a_or_an(type(value).__name__)} and not a map")
    record = _record(cursor, value.pop(RECORD)) if RECORD in value else EMPTY
    leaves = {key: _with_leaves(source, key, child) for key, child in value.items()}
    if not record.ties and not record.keys:
        return Contents(leaves, record.metadata, whole=record.whole)
    flat = dict(_flat(leaves, ""))
    if record.keys and set(record.keys) != set(flat):
        cursor.refuse(f"its keys are not those that its {RECORD} lists")
    ordered = {key: flat[key] for key in record.keys or flat}
    record.add_ties(ordered, source.name)
    return Contents(ordered, record.metadata, record.ties or None, whole=record.whole)


def _record(cursor: Cursor, value: Any) -> Sidecar:
    found = _with_leaves(cursor.source, RECORD, value)
    if not isinstance(found, LazyTensor) or len(found.shape) != 1 or found.dtype.name != "uint8":
        cursor.refuse(f"{RECORD} is not an array of bytes")
    if found.extent > MAX_RECORD:
        cursor.refuse(f"{RECORD} has {found.extent} bytes, and at most {MAX_RECORD} are read")
    return parse_sidecar(found.source.read(found.offset, found.extent), cursor.source.name)


def _with_leaves(source: Source, key: str, value: Any) -> Any:
    """Return a value with its payloads replaced by leaves."""
    if isinstance(value, dict):
        tree = {name: _with_leaves(source, f"{key}.{name}", child) for name, child in value.items()}
        return _joined(source, key, tree) if CHUNKED in tree else tree
    if isinstance(value, list):
        if are_plain(value):
            return value
        return [_with_leaves(source, f"{key}.{number}", v) for number, v in enumerate(value)]
    if not isinstance(value, Payload):
        return value
    if value.code in (ARRAY, SCALAR):
        return _array(source, key, value)
    if value.code == COMPLEX:
        return _complex(source, key, value)
    if value.code in (None, TIMESTAMP):
        return Opaque("bytes" if value.code is None else "timestamp", (value.size,))
    raise FormatError(source.name, f"{key!r} has the unknown extension type {value.code}")


def _array(source: Source, key: str, payload: Payload) -> LazyTensor:
    cursor = Cursor(source, payload.offset, payload.offset + payload.size)
    fields = cursor.value()
    if not isinstance(fields, list) or len(fields) != 3 or cursor.at != cursor.end:
        cursor.refuse(f"the array {key!r} is not (shape, dtype, bytes)")
    shape, name, data = fields
    if isinstance(name, Payload) and name.code is None and name.size < 64:
        name = source.read(name.offset, name.size).decode("ascii", "replace")
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None or not dtype.itemsize:
        cursor.refuse(f"the dtype of {key!r}, {str(name)[:40]!r}, is unknown")
    if not is_shape(shape):
        cursor.refuse(f"the shape of {key!r} is not a list of sizes")
    if not isinstance(data, Payload) or data.code is not None:
        cursor.refuse(f"{key!r} has no bytes")
    if dtype.nbytes(math.prod(shape)) != data.size:
        cursor.refuse(f"{key!r} is {dtype} {shape}, but has {counted(data.size, 'byte')}")
    return LazyTensor(source, data.offset, dtype, shape)


def _complex(source: Source, key: str, payload: Payload) -> complex:
    cursor = Cursor(source, payload.offset, payload.offset + payload.size)
    numbers = cursor.value()
    if not isinstance(numbers, list) or [type(number) for number in numbers] != [float, float]:
        cursor.refuse(f"the complex number {key!r} is not two floats")
    return complex(*numbers)


def _joined(source: Source, key: str, tree: Mapping[str, Any]) -> LazyTensor:
    """Return a map of chunks as one array, its bytes unread and not copied."""
    sizes, arrays = _numbered(tree.get("shape")), _numbered(tree.get("chunks"))
    is_complete = (
        bool(arrays)
        and is_shape(sizes)
        and all(isinstance(array, LazyTensor) and array.extent for array in arrays)
        and len({array.dtype for array in arrays}) == 1
        and sum(array.extent for array in arrays) == arrays[0].dtype.nbytes(math.prod(sizes))
    )
    if not is_complete:
        Cursor(source).refuse(
            f"the chunks of {key!r} do not add up to an array of shape {sizes[:9]}"
        )
    windows = [source.window(array.offset, array.extent) for array in arrays]
    joined = Source(source.name, JoinedBacking(windows), 0, sum(w.size for w in windows))
    return LazyTensor(joined, 0, arrays[0].dtype, sizes)


def _numbered(values: Any) -> list[Any]:
    """Return the values of a map with the keys "0", "1", ...; no values of any other."""
    if not isinstance(values, dict) or set(values) != set(map(str, range(len(values)))):
        return []
    return [values[str(number)] for number in range(len(values))]


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@write.register(Msgpack)
def _write(format: Msgpack, target: BinaryIO, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, _holds)
    refuse_surrogates(format.name, specs)
    tree = _nested(specs)
    record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
    if (keys := list(specs)) != [key for key, _ in _flat(tree, "")]:
        record = record._replace(keys=keys)
    # Only where it is needed: Flax compares the names in a file with those of its target.
    if not is_one_tree(_nested({key: state_dict[key] for key in specs})):
        record = record._replace(whole=True)
    target.write(pack_size("map", len(tree) + bool(record)))
    _write_tree(target, tree, "", state_dict)
    if record:
        text = record.to_json()
        target.write(pack_text(RECORD) + _array_head([len(text)], "uint8", len(text)) + text)


def _holds(known: Spec) -> bool:
    return known.dtype.name in DTYPES and known.dtype.itemsize > 0


def _nested(specs: Mapping[str, Any]) -> dict[str, Any]:
    """Return specs or leaves as a tree, nested at the dots of their keys."""
    tree: dict[str, Any] = {}
    for key, known in specs.items():
        *parents, name = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or name in node or key in (RECORD, CHUNKED):
            raise StateDictError(
                f"msgpack nests keys at their dots, where {key!r} collides with another or is "
                f"reserved; rename it"
            )
        node[name] = known
    return tree


def _write_tree(
    target: BinaryIO, tree: Mapping[str, Any], prefix: str, state_dict: StateDict
) -> None:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        target.write(pack_text(name))
        if isinstance(value, dict):
            target.write(pack_size("map", len(value)))
            _write_tree(target, value, f"{key}.", state_dict)
        elif value.nbytes > CHUNK:
            _write_chunked(target, value, reported_pieces(state_dict[key]))
        else:
            target.write(_array_head(value.shape, value.dtype.name, value.nbytes))
            for piece in reported_pieces(state_dict[key]):
                target.write(piece)


def _array_head(shape: Iterable[int], dtype: str, nbytes: int) -> bytes:
    sizes = [pack_count(size) for size in shape]
    head = pack_size("array", 3) + pack_size("array", len(sizes)) + b"".join(sizes)
    head += pack_text(dtype) + pack_size("bin", nbytes)
    return pack_ext(ARRAY, len(head) + nbytes) + head


def _write_chunked(target: BinaryIO, known: Spec, pieces: Iterator[memoryview]) -> None:
    size = known.dtype.itemsize
    length = CHUNK // size * size
    starts = range(0, known.nbytes, length)
    target.write(pack_size("map", 3) + pack_text(CHUNKED) + b"\xc3" + pack_text("shape"))
    target.write(pack_size("map", len(known.shape)))
    for axis, number in enumerate(known.shape):
        target.write(pack_text(str(axis)) + pack_count(number))
    target.write(pack_text("chunks") + pack_size("map", len(starts)))
    rest = memoryview(b"")
    for number, start in enumerate(starts):
        count = min(length, known.nbytes - start)
        target.write(pack_text(str(number)))
        target.write(_array_head([count // size], known.dtype.name, count))
        rest = _copy(target, count, rest, pieces)


def _copy(
    target: BinaryIO, count: int, rest: memoryview, pieces: Iterator[memoryview]
) -> memoryview:
    """Write ``count`` bytes from ``rest`` and then from the pieces; return what is left over."""
    while count > len(rest):
        target.write(rest)
        count -= len(rest)
        rest = next(pieces)
    target.write(rest[:count])
    return rest[count:]
