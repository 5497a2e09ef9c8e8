"""The .metadata of a torch distributed checkpoint: a pickle, read as data.

Layout: torch/distributed/checkpoint/metadata.py and filesystem.py (2.13): which tensors there are,
in which boxes each was cut, and in which file, from which byte, each box lies. torch reads it with
plain pickle.load, which runs whatever it says.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from caten_sd.encodings.pickle.inert_values import Instance
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.errors import FormatError
from caten_sd.formats.torch.types import TYPES, ElementType
from caten_sd.state.leaf import DType, Opaque
from caten_sd.state.source import Source
from caten_sd.state.tiles import Sizes

MODULE = "torch.distributed.checkpoint.metadata"
EXTRA = "caten_sd"  # an attribute that torch keeps and does not look at: a sidecar's JSON
_MAX_RANK = 64


class Record(NamedTuple):
    """Where one torch.save of a box of a tensor lies."""

    path: str
    offset: int
    length: int


class Chunk(NamedTuple):
    """A box of a tensor, and its record, if any file has it."""

    start: Sizes
    stop: Sizes
    record: Record | None


class DcpTensor(NamedTuple):
    """A tensor: ``dtype`` is None for one that is no tensor, or has a dtype no leaf has."""

    name: str
    dtype: DType | None
    shape: Sizes
    chunks: list[Chunk]


class DcpMetadata(NamedTuple):
    """The tensors by key, each key's path in the tree that was saved, and our own record."""

    entries: dict[str, DcpTensor]
    paths: dict[str, tuple[Any, ...]]
    extra: str


def read_dcp_metadata(source: Source) -> DcpMetadata:
    """Return what a .metadata file says; FormatError unless it is what torch writes."""
    if not source.size:
        raise FormatError(source.name, "it is empty", "get it again")
    reading = unpickle(source.view(0, source.size), source_name=source.name, allowed=_NAMES)
    try:
        return _metadata(reading.value)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        _refuse(source, f"it is not what torch writes into .metadata ({error})")


def _metadata(value: Any) -> DcpMetadata:
    state = _fields(value, "Metadata")
    records: dict[tuple[str, Sizes | None], Record] = {}
    for index, info in dict(state.get("storage_data") or {}).items():
        at, where = _fields(index, "MetadataIndex"), _fields(info, "_StorageInfo")
        offset = None if at.get("offset") is None else _sizes(at["offset"])
        records[str(at["fqn"]), offset] = _record(where)
    entries = {
        str(key): _entry(str(key), known, records)
        for key, known in dict(state["state_dict_metadata"]).items()
    }
    planned = state.get("planner_data")
    paths = planned if isinstance(planned, dict) else {}
    return DcpMetadata(entries, _paths(paths), str(state.get(EXTRA) or ""))


def _fields(value: Any, name: str) -> dict[str, Any]:
    """Return the attributes of an object of torch's class of that name."""
    if not isinstance(value, Instance) or value.name.rpartition(".")[2] != name:
        what = value.name if isinstance(value, Opaque) else type(value).__name__
        raise ValueError(f"a {what} stands where a {name} should")
    return value.state if isinstance(value.state, dict) else {}


def _record(state: dict[str, Any]) -> Record:
    record = Record(state["relative_path"], state["offset"], state["length"])
    if not isinstance(record.path, str) or not all(_is_size(n) for n in record[1:]):
        raise ValueError(f"{record} is no place in a file")
    if state.get("transform_descriptors"):
        raise ValueError(f"{record.path} was transformed by {state['transform_descriptors']}")
    return record


def _entry(key: str, value: Any, records: dict[tuple[str, Sizes | None], Record]) -> DcpTensor:
    if isinstance(value, Instance) and value.name.endswith(".BytesStorageMetadata"):
        return DcpTensor("bytes", None, (), [])
    state = _fields(value, "TensorStorageMetadata")
    element = _properties(state["properties"])
    shape = _sizes(state["size"])
    dtype = element.dtype if element.dtype and element.dtype.itemsize else None
    chunks = [_chunk(key, chunk, shape, records) for chunk in list(state["chunks"])]
    return DcpTensor(element.name, dtype, shape, chunks)


def _properties(value: Any) -> ElementType:
    """Return the element type of TensorProperties, whose state is a tuple that begins with it."""
    state = value.state if isinstance(value, Instance) else None
    element = state[0] if isinstance(state, tuple) and state else _fields(value, "_")
    if not isinstance(element, ElementType):
        raise ValueError("a tensor has no dtype")
    return element


def _chunk(
    key: str, value: Any, shape: Sizes, records: dict[tuple[str, Sizes | None], Record]
) -> Chunk:
    state = _fields(value, "ChunkStorageMetadata")
    start, sizes = _sizes(state["offsets"]), _sizes(state["sizes"])
    stop = tuple(at + size for at, size in zip(start, sizes, strict=True))
    if len(start) != len(shape) or any(n > whole for n, whole in zip(stop, shape, strict=True)):
        raise ValueError(f"{key} is {list(shape)}, and a box of it ends at {list(stop)}")
    return Chunk(start, stop, records.get((key, start), records.get((key, None))))


def _sizes(value: Any) -> Sizes:
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (None,)
    if len(sizes) > _MAX_RANK or not all(map(_is_size, sizes)):
        raise ValueError(f"{str(sizes)[:60]} is no shape")
    return sizes


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _paths(planned: dict[Any, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        str(key): path
        for key, path in planned.items()
        if isinstance(path, tuple) and all(type(part) in (str, int) for part in path) and path
    }


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(source.name, problem, "it is damaged or of another kind, so get it again")


def _size(values: Any = ()) -> Sizes:
    if not isinstance(values, (tuple, list)):
        raise ValueError("a Size is made of what is no sequence")
    return tuple(values)


_NAMES: dict[tuple[str, str], Any] = {
    **TYPES,
    ("torch", "Size"): _size,
    ("torch.serialization", "_get_layout"): str,
    (MODULE, "_MEM_FORMAT_ENCODING"): int,
}
