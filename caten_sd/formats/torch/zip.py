"""torch's zip: one pickle that names tensors over storages, each a member of its own.

``torch.save`` writes it since 1.6, and TorchScript, whose code is not looked at. Its root folder
can have any name, and ``byteorder`` can be missing. Source: torch.serialization._save. torch's own
reader needs torch, and imports what the pickle names; it is the oracle in the tests.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from caten_sd.encodings.zip_archive import ZipArchive
from caten_sd.encodings.zip_directory import CENTRAL, DEFLATED, LOCAL, find_directory
from caten_sd.encodings.zip_output import ZipOutput
from caten_sd.errors import FormatError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.sidecar import EMPTY, MAX_RECORD, RECORD_FILE, parse_sidecar
from caten_sd.files.stored_specs import stored_specs
from caten_sd.formats.torch.legacy_stream import nested_reader
from caten_sd.formats.torch.pickle_output import NONE, StoredTensor, pickle_of, torch_can_hold
from caten_sd.formats.torch.pickles import load, storage_id, tree_of
from caten_sd.formats.torch.script import ScriptClasses
from caten_sd.formats.torch.storage import DAMAGED, MAX_RATIO, Storage, byte_order
from caten_sd.state.backing import BytesBacking
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict

_ROOT = "archive"
_ALIGNMENT = 64  # bytes, as torch aligns
_MEMBER = 500  # bytes that a member of the archive takes


class TorchZip(Format):
    """The format of ``torch.save`` and of TorchScript."""

    name = "torch zip"
    suffixes = (".pt", ".pth", ".bin", ".ckpt")
    sources = ("file",)
    member_names = r"/data\.pkl\0"


@recognize.register(TorchZip, Source)
def _recognize(format: TorchZip, source: Source, /) -> str | None:
    head = source.head(30)
    if len(head) < 30 or head[:4] != b"PK\3\4":
        return None
    (size,) = struct.unpack_from("<H", head, 26)
    if source.head(30 + size).endswith(b"/data.pkl"):
        return "a zip file that begins with data.pkl"
    try:
        directory = find_directory(source)
    except FormatError:
        return None
    if b"/data.pkl" in source.read(directory.offset, directory.size):
        return "a zip file that has a data.pkl"
    return None


@read.register(TorchZip, Source)
def _read(format: TorchZip, source: Source, /) -> Contents:
    if source.head(2) != b"PK":
        raise FormatError(
            source.name, "it is neither a zip file nor one of torch's older formats", DAMAGED
        )
    archive = ZipArchive.of(source)
    root = _root(archive)
    storages = _ZipStorages(archive, root)
    entry = archive.entry(f"{root}/data.pkl")
    limit = MAX_RATIO * entry.packed if entry.method == DEFLATED else entry.size
    data = archive.read(entry.name, limit=limit)
    pickled = load(
        Source(f"{source.name}:{entry.name}", BytesBacking(data), 0, len(data)),
        persistent_load=storages.persistent,
        nested=nested_reader(source.name),
        memory=_memory_beside(archive),
    )
    if pickled.end != len(data):
        raise FormatError(source.name, "bytes follow the pickle in its data.pkl", DAMAGED)
    tree, metadata = tree_of(pickled, source.name, ScriptClasses(archive, root).attributes)
    if f"{root}/constants.pkl" in archive:
        metadata["torch"] = "TorchScript"
    if (record := f"{root}/{RECORD_FILE}") in archive:
        text = archive.read(record, limit=MAX_RECORD)
        metadata.update(parse_sidecar(text, f"{source.name}:{record}").metadata)
    return Contents(tree, metadata, imports=pickled.imports)


@write.register(TorchZip)
def _write(
    format: TorchZip,
    target: BinaryIO,
    state_dict: StateDict,
    /,
    *,
    within: str = "",
    numbers: Mapping[str, float] = NONE,
) -> None:
    specs = stored_specs(format, state_dict, torch_can_hold)
    members = {key: str(number) for number, key in enumerate(specs)}
    tensors = [
        StoredTensor(key, specs[first], members[first])
        for key in state_dict
        for first in [state_dict.ties.get(key, key)]
    ]
    output = ZipOutput(target, alignment=_ALIGNMENT)
    for name, data in (
        ("data.pkl", pickle_of(tensors, within, numbers)),
        (".format_version", b"1"),
        (".storage_alignment", str(_ALIGNMENT).encode()),
        ("byteorder", b"little"),
    ):
        output.add(f"{_ROOT}/{name}", len(data), [data])
    for key, known in specs.items():
        output.add(f"{_ROOT}/data/{members[key]}", known.nbytes, reported_pieces(state_dict[key]))
    if state_dict.metadata:
        record = EMPTY._replace(metadata=dict(state_dict.metadata)).to_json()
        output.add(f"{_ROOT}/{RECORD_FILE}", len(record), [record])
    output.add(f"{_ROOT}/version", 2, [b"3\n"])
    output.finish()


def _memory_beside(archive: ZipArchive) -> HeaderMemory:
    """Return the memory of all headers, of which those of the members have taken a part."""
    names = archive.names()
    each_twice = sum(map(len, names)) + len(names) * (LOCAL.size + CENTRAL.size) // 2
    memory = HeaderMemory(archive.source.name, 2 * each_twice)
    memory.take(_MEMBER * len(names))
    return memory


def _root(archive: ZipArchive) -> str:
    """Return the folder that has the data.pkl; FormatError unless there is exactly one."""
    name = archive.source.name
    roots = [
        folder
        for folder, _, rest in (member.partition("/") for member in archive.names())
        if rest == "data.pkl"
    ]
    if len(roots) != 1:
        problem = "it is a zip file without torch's data.pkl"
        if roots:
            problem = f"it has a data.pkl in each of {', '.join(roots)}"
        raise FormatError(name, problem, "get it again, or open the right file")
    return roots[0]


class _ZipStorages:
    """The storages of an archive by key; each is one of its members."""

    def __init__(self, archive: ZipArchive, root: str) -> None:
        self._archive, self._root = archive, root
        self._order = byte_order(archive, root)
        self._found: dict[tuple[str, str], Storage] = {}

    def persistent(self, identity: Any) -> Storage:
        wanted = storage_id(identity)
        known = wanted.key, wanted.element.name
        storage = self._found.get(known)
        if storage is None:
            member = self._archive.member(f"{self._root}/data/{wanted.key}")
            storage = self._found[known] = Storage(member, wanted.element, self._order)
        nbytes, held = wanted.size * wanted.element.itemsize, storage.source.size
        if not nbytes <= held < nbytes + wanted.element.itemsize:
            raise FormatError(
                storage.source.name,
                f"it has {held} bytes, but {wanted.size} elements of {wanted.element.name} "
                f"take {nbytes}",
                DAMAGED,
            )
        return storage
