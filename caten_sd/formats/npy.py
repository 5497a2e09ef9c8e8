"""npy: one array in a file, and a folder of such files, one for each key.

.npy cannot hold dtypes that numpy lacks, ties, metadata, or the order of the keys. A folder holds
them in a further file, ``caten_sd.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from caten_sd.encodings.npy import (
    MAGIC,
    npy_can_hold,
    npy_header,
    npy_header_bytes,
    numpy_lacks,
)
from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.array_objects import array_contents
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.new_folder import new_folder
from caten_sd.files.sidecar import EMPTY, MAX_RECORD, RECORD_FILE, parse_sidecar, sidecar_of
from caten_sd.files.stored_specs import stored_specs
from caten_sd.state.leaf import Opaque, Spec
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tree import is_container
from caten_sd.wording import counted

_OTHERS = ("", ".json", ".md", ".txt", ".yaml", ".yml")  # suffixes of files that hold no data
_ESCAPED = "%/\\\0"  # characters of a key that no file name may have; % is the first


class Npy(Format):
    """One array; its key is the name of the file."""

    name = "npy"
    suffixes = (".npy",)
    sources = ("file",)
    one_leaf = True
    holds_metadata = False


class NpyFolder(Format):
    """A folder of .npy files named after their keys; ``% / \\`` and NUL are written as %XX."""

    name = "npy folder"
    suffixes = (".npy/",)
    sources = ("folder",)
    many = True


@recognize.register(Npy, Source)
def _recognize(format: Npy, source: Source, /) -> str | None:
    return "an npy header" if source.head(len(MAGIC)) == MAGIC else None


@read.register(Npy, Source)
def _read(format: Npy, source: Source, /) -> Contents:
    header = npy_header(source)
    found = array_contents(source, header)
    if isinstance(found.tree, Opaque) and (header.holds_objects or header.descr[:1] in ("[", "(")):
        problem = f"its array is of the dtype {header.descr[:80]} and holds no tensor"
        raise FormatError(source.name, problem, "save what is in it as arrays of their own")
    tree = found.tree if is_container(found.tree) else {Path(source.name).stem: found.tree}
    return found._replace(tree=tree)


@write.register(Npy)
def _write(format: Npy, target: BinaryIO, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, _needs_no_record)
    if len(state_dict) != 1:
        raise StateDictError(
            f".npy holds one array, and this state dict has {len(state_dict)}; write an .npz, or "
            f"a folder of .npy files with a path that ends in .npy/"
        )
    for key, known in specs.items():
        _write_array(target, known, state_dict[key])


def _needs_no_record(known: Spec) -> bool:
    """Return whether one file says what the dtype is: numpy's header has no name for bfloat16."""
    return npy_can_hold(known) and not numpy_lacks(known.dtype)


@recognize.register(NpyFolder, Folder)
def _recognize_folder(format: NpyFolder, folder: Folder, /) -> str | None:
    names = folder.names()
    arrays = _arrays(names)
    if not (arrays or RECORD_FILE in names) or any(
        Path(name).suffix not in _OTHERS for name in set(names) - set(arrays)
    ):
        return None
    return f"{counted(len(arrays), '.npy file')} and no other data"


@read.register(NpyFolder, Folder)
def _read_folder(format: NpyFolder, folder: Folder, /) -> Contents:
    names = folder.names()
    record = EMPTY
    if RECORD_FILE in names:
        text = folder.member(RECORD_FILE)
        record = parse_sidecar(text.head(MAX_RECORD), text.name)
    files = {_key(name): name for name in _arrays(names)}
    order = record.keys or list(files)
    if set(order) != set(files):
        odd = sorted(set(order) ^ set(files))[0]
        where = "missing" if odd in order else f"not listed in {RECORD_FILE}"
        raise FormatError(folder.name, f"the file of {odd!r} is {where}", "get the folder again")
    leaves: dict[str, Any] = {}
    imports: dict[str, bool] = {}
    for key in order:
        source = folder.member(files[key], held=False)
        found = array_contents(source, npy_header(source))
        leaves[key] = record.typed(key, found.tree)
        imports.update(found.imports)
    record.add_ties(leaves, folder.name)
    return Contents(leaves, record.metadata, record.ties or None, imports=imports)


@write.register(NpyFolder)
def _write_folder(format: NpyFolder, target: Path, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, npy_can_hold)
    record = sidecar_of(state_dict, specs, numpy_lacks)._replace(keys=list(specs))
    with new_folder(target) as files:
        for key, known in specs.items():
            with files.create(_file_name(key)) as file:
                _write_array(file, known, state_dict[key])
        with files.create(RECORD_FILE) as file:
            file.write(record.to_json())


def _write_array(file: BinaryIO, known: Spec, leaf: Any) -> None:
    file.write(npy_header_bytes(known.dtype, known.shape))
    for piece in reported_pieces(leaf):
        file.write(piece)


def _arrays(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".npy") and "/" not in name]


def _key(name: str) -> str:
    key = name[: -len(".npy")]
    for char in reversed(_ESCAPED):
        key = key.replace(_escape(char), char)
    return key


def _file_name(key: str) -> str:
    for char in _ESCAPED:
        key = key.replace(char, _escape(char))
    return f"{key}.npy"


def _escape(char: str) -> str:
    return f"%{ord(char):02X}"
