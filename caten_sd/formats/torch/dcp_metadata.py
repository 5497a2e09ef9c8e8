"""The .metadata of a torch distributed checkpoint: a pickle, read as data.

Source: torch/distributed/checkpoint/metadata.py and filesystem.py (2.13). It lists the tensors, the
boxes that each was cut into, and the file and byte where each box begins. torch reads it with plain
pickle.load, which runs whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import gt
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeVar

from caten_sd.encodings.pickle.inert_values import Instance, Reference
from caten_sd.encodings.pickle.interpreter import Unpickled, unpickle
from caten_sd.encodings.pickle.known_object import tuple_of
from caten_sd.errors import FormatError
from caten_sd.formats.torch.dcp_objects import (
    DcpBox,
    DcpIndex,
    DcpObject,
    DcpPlace,
    DcpProperties,
    DcpStored,
    Record,
    dcp_sizes,
)
from caten_sd.formats.torch.types import TYPES
from caten_sd.state.dtype import DType
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.header_memory import LEAF, HeaderMemory
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source
from caten_sd.state.tiles import Sizes
from caten_sd.state.tree import MAX_DEPTH, key_text
from caten_sd.wording import a_or_an, counted

MODULE = "torch.distributed.checkpoint.metadata"
_FILES = "torch.distributed.checkpoint.filesystem"
_PLACE = f"{_FILES}.{DcpPlace.torch_name}"
_REPEATED = 2 * LEAF  # bytes that a box takes once more
EXTRA = "caten_sd"  # an attribute that torch ignores: the JSON text of a Sidecar


_DcpObject = TypeVar("_DcpObject", bound=DcpObject)
_Records = dict[tuple[str, Sizes | None], Record]  # by key and first corner, None if not recorded


class Chunk(NamedTuple):
    """A box of a tensor, and its record; None if no file has one."""

    start: Sizes
    stop: Sizes
    record: Record | None


class DcpTensor(NamedTuple):
    """One entry; ``dtype`` is None if it is not a tensor, or its dtype is not one of ours."""

    name: str
    dtype: DType | None
    shape: Sizes
    chunks: list[Chunk]


class DcpMetadata(NamedTuple):
    """The tensors by key, each key's path in the saved tree, and the text under EXTRA.

    ``imports`` are the names that torch would import, each with whether it is plain data.
    ``records`` are all that it lists, each once, of tensors and of other values.
    """

    entries: dict[str, DcpTensor]
    paths: dict[str, tuple[Any, ...]]
    extra: str
    imports: Mapping[str, bool] = MappingProxyType({})
    records: tuple[Record, ...] = ()


@collector_paused()
def read_dcp_metadata(source: Source) -> DcpMetadata:
    """Return what a .metadata file lists; FormatError unless it is one that torch writes."""
    if not source.size:
        raise FormatError(source.name, "it is empty", "get it again")
    memory = HeaderMemory(source.name, 0, walked=False)
    pickled = unpickle(source, allowed=_NAMES, memory=memory)
    try:
        return _metadata(pickled.value, memory)._replace(imports=_imports(pickled))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        _refuse(source, f"it is not what torch writes into .metadata ({error})")


def _imports(pickled: Unpickled) -> Mapping[str, bool]:
    """Return the imports; what torch's own metadata is made of is plain data here."""
    # A longer name could reach through what that module itself imports.
    imports = {
        name: plain or name.rpartition(".")[0] == MODULE or name == _PLACE
        for name, plain in pickled.imports.items()
    }
    if pickled.opaque[_GETATTR]:
        imports[_GETATTR] = False
    return imports


def _metadata(value: Any, memory: HeaderMemory) -> DcpMetadata:
    state = _fields(value, "Metadata")
    _take_repeats(state["state_dict_metadata"], memory)
    records: _Records = {}
    for index, place in _taken(state.get("storage_data") or {}):
        records[_of_class(index, DcpIndex).key()] = _of_class(place, DcpPlace).record()
    entries = {
        (key := key_text(name)): _entry(key, known, records)
        for name, known in _taken(state["state_dict_metadata"])
    }
    planned = state.get("planner_data")
    paths = planned if isinstance(planned, dict) else {}
    known = DcpMetadata(entries, _paths(paths), key_text(state.get(EXTRA) or ""))
    return known._replace(records=tuple(dict.fromkeys(records.values())))


def _take_repeats(tensors: Any, memory: HeaderMemory) -> None:
    """Count the boxes that a pickle refers to again, in two bytes each, as if they were new."""
    lists, boxes = set[int](), set[int]()
    for stored in tensors.values() if isinstance(tensors, dict) else ():
        chunks = stored.chunks if type(stored) is DcpStored else None
        if type(chunks) is not list:
            continue
        if id(chunks) in lists:
            memory.take(_REPEATED * (1 + len(chunks)))
            continue
        lists.add(id(chunks))
        before = len(boxes)
        boxes.update(map(id, chunks))
        if repeats := before + len(chunks) - len(boxes):
            memory.take(_REPEATED * repeats)


def _taken(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a dict and take each out of it: twice all of them would be too much."""
    if not isinstance(values, dict):
        raise ValueError(f"it has {_class_of(values)} in the place of a dict")
    for key in list(values):
        yield key, values.pop(key)


def _fields(value: Any, name: str) -> dict[str, Any]:
    """Return the attributes of an object of the torch class of that name."""
    if not isinstance(value, Instance) or value.name.rpartition(".")[2] != name:
        raise ValueError(f"it has {_class_of(value)} in the place of {a_or_an(name)}")
    return value.state if isinstance(value.state, dict) else {}


def _of_class(value: Any, wanted: type[_DcpObject]) -> _DcpObject:
    if type(value) is not wanted:
        raise ValueError(f"it has {_class_of(value)} in the place of {a_or_an(wanted.torch_name)}")
    return value


def _class_of(value: Any) -> str:
    """Return the name of an object's class, in torch if it is one of torch's, and its article."""
    name = value.torch_name if isinstance(value, DcpObject) else type(value).__name__
    return a_or_an(value.name if isinstance(value, Opaque) else name)


def _entry(key: str, value: Any, records: _Records) -> DcpTensor:
    if isinstance(value, Instance) and value.name.endswith(".BytesStorageMetadata"):
        return DcpTensor("bytes", None, (), [])
    stored = _of_class(value, DcpStored)
    element = _of_class(stored.properties, DcpProperties).element()
    shape = dcp_sizes(stored.size)
    dtype = element.dtype if element.dtype and element.dtype.itemsize else None
    if type(stored.chunks) is not list:
        raise ValueError(f"the boxes of a tensor are {_class_of(stored.chunks)} and not a list")
    chunks = [_chunk(key, chunk, shape, records) for chunk in stored.chunks]
    return DcpTensor(element.name, dtype, shape, chunks)


def _chunk(key: str, value: Any, shape: Sizes, records: _Records) -> Chunk:
    start, stop = _of_class(value, DcpBox).bounds()
    if len(stop) != len(shape) or any(map(gt, stop, shape)):
        raise ValueError(f"{key} is {list(shape)} and one of its boxes ends at {list(stop)}")
    return Chunk(start, stop, records.get((key, start)) or records.get((key, None)))


def _paths(planned: dict[Any, Any]) -> dict[str, tuple[Any, ...]]:
    paths = {key: path for key, path in planned.items() if isinstance(path, tuple) and path}
    longest = max(map(len, paths.values()), default=0)
    if longest > MAX_DEPTH:
        raise ValueError(f"a path in the saved tree has {counted(longest, 'step')}")
    return {
        key_text(key): path
        for key, path in paths.items()
        if all(type(step) in (str, int) for step in path)
    }


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(
        source.name, problem, "it is damaged or another kind of file, so get it again"
    )


def _layout(name: Any = "") -> str:
    if type(name) is not str:
        raise ValueError("a layout is not named by a text")
    return name


def _member(*args: Any) -> Any:
    """Return the name of a memory format, or an inert Instance for any other attribute.

    Python before 3.11.4 pickles a member of an enum as ``getattr(the enum, its name)``.
    """
    match args:
        case [Reference(name=known), str(name)] if known == _FORMATS and name.startswith("TORCH_"):
            return name
    return Instance(_GETATTR, args)


_GETATTR = "builtins.getattr"
_FORMATS = f"{MODULE}._MEM_FORMAT_ENCODING"
_NAMES: dict[tuple[str, str], Any] = {
    **TYPES,
    ("torch", "Size"): tuple_of,
    ("torch.serialization", "_get_layout"): _layout,
    ("builtins", "getattr"): _member,
    (MODULE, "_MEM_FORMAT_ENCODING"): int,
    **{(MODULE, each.torch_name): each for each in (DcpBox, DcpIndex, DcpProperties, DcpStored)},
    (_FILES, DcpPlace.torch_name): DcpPlace,
}
