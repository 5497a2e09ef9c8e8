"""msgpack: a tree of named arrays, as flax.serialization writes it.

Format: flax/serialization.py (0.10): extension 1 is an array (shape, dtype's name, bytes), 2 a
complex number, 3 a scalar of numpy; an array over 1 GiB is a map of chunks. Keys nest at their
dots, as a Flax module restores them; ``__caten_sd__`` holds ties and metadata, which Flax lacks.
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
from caten_sd.files.sidecar import EMPTY, RECORD, parse_sidecar
from caten_sd.files.stored_specs import stored_specs
from caten_sd.state.backing import JoinedBacking
from caten_sd.state.indexing import is_size
from caten_sd.state.leaf import DTYPES, LazyTensor, Opaque, Spec
from caten_sd.state.pieces import chunks
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict

ARRAY, COMPLEX, SCALAR, TIMESTAMP = 1, 2, 3, -1
CHUNKED = "__msgpack_chunked_array__"
CHUNK = 1 << 30  # bytes; what Flax puts into one chunk
MAX_LOOKS = 64  # values; the arrays of a real file come sooner


class Msgpack(Format):
    """The msgpack of Flax."""

    name = "msgpack"
    suffixes = (".msgpack",)


@recognize.register(Msgpack, Source)
def _recognize(format: Msgpack, source: Source, /) -> str | None:
    """Return evidence if maps with text keys lead to an array of Flax: msgpack has no magic."""
    cursor = Cursor(source)
    try:
        return _path_to_array(cursor)
    except FormatError:
        return None


def _path_to_array(cursor: Cursor) -> str | None:
    """Walk down the first maps, past a few values that are none (a version, a configuration)."""
    keys: list[str] = []
    for _ in range(MAX_LOOKS):
        at = cursor.at
        kind, count = cursor.head()
        if kind == "ext":
            is_array = cursor.take(1)[0] in (ARRAY, COMPLEX, SCALAR)
            return f"an array of Flax at {'.'.join(keys)}" if keys and is_array else None
        if kind != "map":
            if not keys:
                return None
            cursor.at = at
            cursor.value()
            keys = keys[:-1]
        elif not count:
            return None
        key = cursor.value()
        if not isinstance(key, str) or not key.isprintable():
            return None
        keys.append(key)
    return None


@read.register(Msgpack, Source)
def _read(format: Msgpack, source: Source, /) -> Contents:
    cursor = Cursor(source)
    value = cursor.value()
    if cursor.at != source.size:
        cursor.refuse(f"{source.size - cursor.at} bytes follow its value")
    if not isinstance(value, dict):
        cursor.refuse(f"it holds a {type(value).__name__} and no map")
    text = value.pop(RECORD, None)
    record = EMPTY if text is None else parse_sidecar(str(text).encode(), source.name)
    leaves = {key: _resolved(source, key, child) for key, child in value.items()}
    if not record.ties and not record.keys:
        return Contents(leaves, record.metadata)
    flat = dict(_flat(leaves, ""))
    if record.keys and set(record.keys) != set(flat):
        cursor.refuse("its keys are not those that its record lists")
    ordered = {key: flat[key] for key in record.keys or flat}
    record.tie(ordered, source.name)
    return Contents(ordered, record.metadata, record.ties or None)


def _resolved(source: Source, key: str, value: Any) -> Any:
    """Return a value with its payloads made leaves."""
    if isinstance(value, dict):
        below = {name: _resolved(source, f"{key}.{name}", child) for name, child in value.items()}
        return _joined(source, key, below) if CHUNKED in below else below
    if isinstance(value, list):
        return [_resolved(source, f"{key}.{number}", v) for number, v in enumerate(value)]
    if not isinstance(value, Payload):
        return value
    if value.code in (ARRAY, SCALAR):
        return _array(source, key, value)
    if value.code == COMPLEX:
        return _complex(source, key, value)
    if value.code in (None, TIMESTAMP):
        return Opaque("bytes" if value.code is None else "timestamp", (value.size,))
    raise FormatError(source.name, f"{key!r} is of the unknown extension type {value.code}")


def _array(source: Source, key: str, payload: Payload) -> LazyTensor:
    cursor = Cursor(source, payload.offset, payload.offset + payload.size)
    parts = cursor.value()
    if not isinstance(parts, list) or len(parts) != 3 or cursor.at != cursor.end:
        cursor.refuse(f"the array record of {key!r} is not (shape, dtype, bytes)")
    shape, name, data = parts
    if isinstance(name, Payload) and name.code is None and name.size < 64:
        name = source.read(name.offset, name.size).decode("ascii", "replace")
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None or not dtype.itemsize:
        cursor.refuse(f"the dtype of {key!r}, {str(name)[:40]!r}, is unknown")
    if not isinstance(shape, list) or not all(map(is_size, shape)):
        cursor.refuse(f"the shape of {key!r} is no list of sizes")
    if not isinstance(data, Payload) or data.code is not None:
        cursor.refuse(f"{key!r} has no bytes")
    if dtype.nbytes(math.prod(shape)) != data.size:
        cursor.refuse(f"{key!r} is {dtype} {shape}, and has {data.size} bytes")
    return LazyTensor(source, data.offset, dtype, shape)


def _complex(source: Source, key: str, payload: Payload) -> complex:
    cursor = Cursor(source, payload.offset, payload.offset + payload.size)
    parts = cursor.value()
    if not isinstance(parts, list) or [type(part) for part in parts] != [float, float]:
        cursor.refuse(f"{key!r} is no complex number of two parts")
    return complex(*parts)


def _joined(source: Source, key: str, parts: Mapping[str, Any]) -> LazyTensor:
    """Return the array that a map of chunks stands for, its bytes still where they are."""
    sizes, arrays = _numbered(parts.get("shape")), _numbered(parts.get("chunks"))
    fits = (
        bool(arrays)
        and all(map(is_size, sizes))
        and all(isinstance(array, LazyTensor) and array.extent for array in arrays)
        and len({array.dtype for array in arrays}) == 1
        and sum(array.extent for array in arrays) == arrays[0].dtype.nbytes(math.prod(sizes))
    )
    if not fits:
        Cursor(source).refuse(f"the chunks of {key!r} do not make an array of shape {sizes[:9]}")
    windows = [source.window(array.offset, array.extent) for array in arrays]
    joined = Source(source.name, JoinedBacking(windows), 0, sum(w.size for w in windows))
    return LazyTensor(joined, 0, arrays[0].dtype, sizes)


def _numbered(values: Any) -> list[Any]:
    """Return the values of a map with the keys "0", "1", ...; nothing for any other map."""
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
    tree = _nested(specs)
    record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
    if (keys := list(specs)) != [key for key, _ in _flat(tree, "")]:
        record = record._replace(keys=keys)
    target.write(pack_size("map", len(tree) + bool(record)))
    _write_below(target, tree, "", state_dict)
    if record:
        target.write(pack_text(RECORD) + pack_text(record.to_json().decode()))


def _holds(known: Spec) -> bool:
    return known.dtype.name in DTYPES and known.dtype.itemsize > 0


def _nested(specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Return the specs as a tree that branches at the dots of the keys."""
    tree: dict[str, Any] = {}
    for key, known in specs.items():
        *parents, name = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or name in node or key in (RECORD, CHUNKED):
            raise StateDictError(
                f"msgpack nests keys at their dots, and {key!r} has no place there"
            )
        node[name] = known
    return tree


def _write_below(target: BinaryIO, tree: Mapping[str, Any], prefix: str, given: StateDict) -> None:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        target.write(pack_text(name))
        if isinstance(value, dict):
            target.write(pack_size("map", len(value)))
            _write_below(target, value, f"{key}.", given)
        elif value.nbytes > CHUNK:
            _write_chunked(target, value, chunks(given[key]))
        else:
            target.write(_array_head(value.shape, value.dtype.name, value.nbytes))
            for piece in chunks(given[key]):
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
    """Write ``count`` bytes of the rest and of the pieces behind it; return what is left over."""
    while count > len(rest):
        target.write(rest)
        count -= len(rest)
        rest = next(pieces)
    target.write(rest[:count])
    return rest[count:]
