"""The files of an Orbax checkpoint as we write it: zarr 2, one chunk an array, not packed.

``StandardCheckpointer().restore(path)`` of orbax 0.12.8 gives the same tree. Keys are nested at
their dots, where that can be undone, and a list is a dict of its numbers, as Flax has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.files.format import Format
from caten_sd.files.new_folder import new_folder
from caten_sd.files.sidecar import EMPTY, RECORD, Sidecar
from caten_sd.files.stored_specs import refuse_surrogates, stored_specs
from caten_sd.files.which_tree import is_one_tree
from caten_sd.formats.orbax.orbax_steps import MANIFEST_NAME, METADATA, OF_CHECKPOINT
from caten_sd.formats.orbax.orbax_tree import flat_items
from caten_sd.formats.orbax.zarr2 import NAME
from caten_sd.state.leaf import Spec
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tree import MAX_DEPTH

_LONGEST = 255  # bytes of a name in most file systems
_OURS = {METADATA, OF_CHECKPOINT, "_sharding", "array_metadatas", MANIFEST_NAME}
_OURS |= {"commit_success.txt", "_strings.json"}
_SHORT = {"float": "f", "int": "i", "uint": "u", "complex": "c"}
_LACKING = ("float8_e8m0fnu",)
_PLAIN = {"float16", "float32", "float64"}  # floats that numpy has


def write_orbax(format: Format, target: Path, state_dict: StateDict) -> None:
    """Write a state dict into a new folder, which appears whole."""
    specs = stored_specs(format, state_dict, _can_hold)
    refuse_surrogates(format.name, specs)
    _check_names(format, specs)
    paths = _paths(specs)
    record = _record(state_dict, specs, paths)
    with new_folder(target) as files:
        for key, known in specs.items():
            files.make_folder(key)
            with files.create(f"{key}/{NAME}") as file:
                file.write(_json(_zarray(known)))
            if 0 not in known.shape:
                with files.create(f"{key}/{'.'.join('0' * max(len(known.shape), 1))}") as file:
                    for piece in reported_pieces(state_dict[key]):
                        file.write(piece)
        with files.create(METADATA) as file:
            file.write(_json(_metadata(paths, record)))


def _can_hold(known: Spec) -> bool:
    """Return whether tensorstore has the dtype."""
    dtype = known.dtype
    is_known = dtype.kind in _SHORT or dtype.kind == "bool"
    return is_known and dtype.itemsize > 0 and dtype.name not in _LACKING


def _check_names(format: Format, keys: Iterable[str]) -> None:
    """Refuse a key that is not a path of folders, or is in the place of another's file."""
    listed = set(keys)
    for key in listed:
        *parents, last = key.split("/")
        above = ["/".join(parents[:count]) for count in range(1, len(parents) + 1)]
        if not all(map(_is_name, [*parents, last])) or (parents or [last])[0] in _OURS:
            why = "which is not a path of folders that can be"
        elif inner := next((each for each in above if each in listed), None):
            why = f"which would be among the files of {inner!r}"
        else:
            continue
        raise StateDictError(
            f"{format.name} cannot hold {key!r}, {why}; rename it, or write another format"
        )


def _is_name(part: str) -> bool:
    odd = part in ("", ".", "..") or "\\" in part or "\0" in part
    return not odd and len(part.encode()) <= _LONGEST


def _paths(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the path of each key: nested at its dots, unless two collide or a part is empty."""
    nested = {key: tuple(key.split(".", MAX_DEPTH)) for key in keys}
    inner = {path[:count] for path in nested.values() for count in range(1, len(path))}
    if any("" in path or path in inner or len(path) > MAX_DEPTH for path in nested.values()):
        return {key: (key,) for key in nested}
    return nested


def _record(
    state_dict: StateDict, specs: Mapping[str, Spec], paths: Mapping[str, tuple[str, ...]]
) -> Sidecar:
    record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
    tree = _nested({key: state_dict[key] for key in specs}, paths)
    if [key for key, _ in flat_items(tree)] != list(specs):
        record = record._replace(keys=list(specs))
    return record if is_one_tree(tree) else record._replace(whole=True)


def _nested(values: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = paths[key]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _metadata(paths: Mapping[str, tuple[str, ...]], record: Sidecar) -> dict[str, Any]:
    about = {"value_type": "np.ndarray", "skip_deserialize": False}
    return {
        "tree_metadata": {
            str(path): {
                "key_metadata": [{"key": part, "key_type": 2} for part in path],
                "value_metadata": about,
            }
            for path in paths.values()
        },
        "use_ocdbt": False,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
        "custom_metadata": {RECORD: record.to_json().decode()} if record else None,
    }


def _zarray(known: Spec) -> dict[str, Any]:
    return {
        "chunks": [max(size, 1) for size in known.shape],
        "compressor": None,
        "dimension_separator": ".",
        "dtype": _dtype(known),
        "fill_value": None,
        "filters": None,
        "order": "C",
        "shape": list(known.shape),
        "zarr_format": 2,
    }


def _dtype(known: Spec) -> str:
    dtype = known.dtype
    if dtype.kind == "bool":
        return "|b1"
    if dtype.kind == "float" and dtype.name not in _PLAIN:
        return dtype.name
    return f"{'|' if dtype.itemsize == 1 else '<'}{_SHORT[dtype.kind]}{dtype.itemsize}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
