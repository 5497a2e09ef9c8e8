"""The record beside arrays whose container cannot say everything: dtypes, ties, metadata, order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.json_hooks import plain
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import is_size
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Spec
from caten_sd.state.state_dict import StateDict

RECORD = "__caten_sd__"  # the key that holds the record among arrays
RECORD_FILE = "caten_sd.json"  # the file that holds it beside other files
MAX_RECORD = 64 << 20  # bytes


class Sidecar(NamedTuple):
    """What a container cannot say of its arrays.

    ``dtypes`` and ``shapes`` are of keys whose array is a row of raw bytes, ``ties`` gives each
    further name of an array, ``keys`` the order where the container has none.
    """

    dtypes: dict[str, str]
    shapes: dict[str, list[int]]
    ties: dict[str, str]
    metadata: dict[str, Any]
    keys: list[str]

    def __bool__(self) -> bool:
        return any(map(bool, tuple(self)))

    def to_json(self) -> bytes:
        """Return the record as JSON, its empty parts left out."""
        parts = {name: part for name, part in self._asdict().items() if part}
        return json.dumps(parts, default=plain, separators=(",", ":")).encode()

    def leaf(self, key: str, leaf: Any) -> Any:
        """Return a leaf of raw bytes as what the record says it is; others as they are."""
        if key not in self.dtypes or not isinstance(leaf, LazyTensor):
            return leaf
        dtype, shape = DTYPES[self.dtypes[key]], self.shapes.get(key, leaf.shape)
        typed = LazyTensor(leaf.source, leaf.offset, dtype, shape, leaf.strides)
        if leaf.dtype.kind != "unknown" or typed.extent != leaf.extent:
            _refuse(leaf.source.name, f"{key!r} is {leaf.dtype} {list(leaf.shape)}, not {dtype}")
        return typed

    def tie(self, leaves: dict[str, Any], source_name: str) -> None:
        """Add each further name of an array to the leaves."""
        for name, kept in self.ties.items():
            if kept not in leaves or name in leaves:
                _refuse(source_name, f"it cannot tie {name!r} to {kept!r}")
            leaves[name] = leaves[kept]


EMPTY = Sidecar({}, {}, {}, {}, [])


def sidecar_of(
    state_dict: StateDict, specs: Mapping[str, Spec], lacks: Callable[[DType], bool]
) -> Sidecar:
    """Return the record for arrays of these specs in a container that lacks some dtypes."""
    lacking = {key: known for key, known in specs.items() if lacks(known.dtype)}
    return EMPTY._replace(
        dtypes={key: known.dtype.name for key, known in lacking.items()},
        shapes={k: list(known.shape) for k, known in lacking.items() if not known.dtype.itemsize},
        ties=dict(state_dict.ties),
        metadata=dict(state_dict.metadata),
    )


def parse_sidecar(text: bytes, source_name: str) -> Sidecar:
    """Return the record in a JSON text; FormatError if it is none."""
    try:
        parts = json.loads(text)
        record = EMPTY._replace(**parts)
    except (ValueError, TypeError, RecursionError):
        _refuse(source_name, "it is not the JSON that caten_sd writes")
    if not _is_well_formed(record):
        _refuse(source_name, "a part of it is not what it should be")
    return record


def _is_well_formed(record: Sidecar) -> bool:
    maps = (record.dtypes, record.shapes, record.ties, record.metadata)
    return (
        all(isinstance(part, dict) for part in maps)
        and all(isinstance(name, str) and name in DTYPES for name in record.dtypes.values())
        and all(isinstance(kept, str) for kept in record.ties.values())
        and all(isinstance(shape, list) for shape in record.shapes.values())
        and all(is_size(n) for shape in record.shapes.values() for n in shape)
        and isinstance(record.keys, list)
        and all(isinstance(key, str) for key in record.keys)
    )


def _refuse(source_name: str, problem: str) -> NoReturn:
    raise FormatError(source_name, f"its caten_sd record is damaged: {problem}", "get it again")
