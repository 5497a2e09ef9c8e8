"""A JSON record of what an array container cannot store: dtypes, ties, metadata and order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.json_hooks import plain
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import is_shape
from caten_sd.state.json_text import parse_json
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Spec
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.state_dict import StateDict

RECORD = "__caten_sd__"  # the key that holds the record among arrays
RECORD_FILE = "caten_sd.json"  # the name of the record where it is a file of its own
MAX_RECORD = 64 << 20  # bytes
VERSION = 1  # of the record; a file without one has this


class Sidecar(NamedTuple):
    """The record itself.

    ``dtypes`` and ``shapes`` belong to keys whose array is stored as raw bytes. ``ties`` maps each
    further name of an array to its first, ``keys`` is the order if the container has none.
    ``whole`` says that a nested tree was written from one state dict. ``version`` is the record's.
    """

    dtypes: dict[str, str]
    shapes: dict[str, list[int]]
    ties: dict[str, str]
    metadata: dict[str, Any]
    keys: list[str]
    whole: bool = False
    version: int = VERSION

    def __bool__(self) -> bool:
        return self != EMPTY

    def to_json(self) -> bytes:
        """Return the record as JSON, without empty fields."""
        fields = {name: field for name, field in self._asdict().items() if field}
        return json.dumps(fields, default=plain, separators=(",", ":")).encode()

    def typed(self, key: str, leaf: Any) -> Any:
        """Return a leaf of raw bytes with its recorded dtype and shape; other leaves unchanged."""
        if key not in self.dtypes or not isinstance(leaf, LazyTensor):
            return leaf
        dtype, shape = DTYPES[self.dtypes[key]], self.shapes.get(key, leaf.shape)
        typed = LazyTensor(leaf.source, leaf.offset, dtype, shape, leaf.strides)
        if leaf.dtype.kind != "unknown" or typed.extent != leaf.extent:
            _refuse(leaf.source.name, f"{key!r} is {leaf.dtype} {list(leaf.shape)}, not {dtype}")
        return typed

    def add_ties(self, leaves: dict[str, Any] | LeafTable, source_name: str) -> None:
        """Add the further names of arrays to the leaves."""
        for name, kept in self.ties.items():
            if kept not in leaves or name in leaves:
                _refuse(source_name, f"it cannot tie {name!r} to {kept!r}")
            leaves[name] = leaves[kept]


EMPTY = Sidecar({}, {}, {}, {}, [])


def sidecar_of(
    state_dict: StateDict, specs: Mapping[str, Spec], lacks: Callable[[DType], bool]
) -> Sidecar:
    """Return the record for leaves with these specs in a container that lacks some dtypes."""
    lacking = {key: known for key, known in specs.items() if lacks(known.dtype)}
    return EMPTY._replace(
        dtypes={key: known.dtype.name for key, known in lacking.items()},
        shapes={k: list(known.shape) for k, known in lacking.items() if not known.dtype.itemsize},
        ties=dict(state_dict.ties),
        metadata=dict(state_dict.metadata),
    )


def parse_sidecar(text: bytes, source_name: str) -> Sidecar:
    """Return the record in a JSON text; FormatError if it is malformed."""
    try:
        parts = parse_json(source_name, text)
        version = parts.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise FormatError(
                source_name,
                f"its caten_sd record is of version {version}, and this caten_sd reads up to "
                f"{VERSION}",
                "read it with a newer caten_sd",
            )
        record = EMPTY._replace(**parts)
    except (ValueError, TypeError, AttributeError, RecursionError):
        _refuse(source_name, "it is not the JSON that caten_sd writes")
    if not _is_well_formed(record):
        _refuse(source_name, "one of its fields has a value that caten_sd never writes")
    return record


def _is_well_formed(record: Sidecar) -> bool:
    maps = (record.dtypes, record.shapes, record.ties, record.metadata)
    return (
        all(isinstance(each, dict) for each in maps)
        and all(isinstance(name, str) and name in DTYPES for name in record.dtypes.values())
        and all(isinstance(kept, str) for kept in record.ties.values())
        and all(map(is_shape, record.shapes.values()))
        and isinstance(record.whole, bool)
        and record.version == VERSION
        and isinstance(record.keys, list)
        and all(isinstance(key, str) for key in record.keys)
    )


def _refuse(source_name: str, problem: str) -> NoReturn:
    raise FormatError(source_name, f"its caten_sd record is damaged: {problem}", "get it again")
