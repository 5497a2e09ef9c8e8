"""GGUF: typed metadata, a table of tensors, their data dense or in quantised blocks, in one file.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3 of either byte
order are read, whole or split over several files; version 3 in little endian is written, byte for
byte as gguf-py's GGUFWriter does. Why the header is read by our own code is said in gguf_header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from caten_sd.blocks.big_endian import SwappedBlocks
from caten_sd.errors import FormatError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.shard_names import ShardName
from caten_sd.files.stored_specs import stored_specs
from caten_sd.formats.gguf.header import MAGIC, Header, TensorInfo, read_header
from caten_sd.formats.gguf.header_output import can_store, header_bytes, padding
from caten_sd.formats.gguf.split import joined_metadata, part_name, read_parts, split_count
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.leaf import DTYPES, BlockTensor, DType, LazyTensor
from caten_sd.state.pieces import chunks
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict

TIED = "caten_sd.tied."  # before an alias; the value is the name that its tensor is stored under


class Gguf(Format):
    """The GGUF format, one file or all parts of a split one."""

    name = "gguf"
    suffixes = (".gguf",)


@recognize.register(Gguf, Source)
def _recognize(format: Gguf, source: Source, /) -> str | None:
    return "it begins with GGUF" if source.head(4) == MAGIC else None


@recognize.register(Gguf, Folder)
def _recognize_folder(format: Gguf, folder: Folder, /) -> str | None:
    models = _split_models(folder)
    return f"the parts of {models[0]}" if models else None


def _split_models(folder: Folder) -> list[ShardName]:
    """Return the first part of each split model in the folder, or of that it was opened by."""
    names = [folder.index] if folder.index else folder.names()
    found = [known for name in names if (known := part_name(name))]
    return list({known._replace(number=1): None for known in found})


@read.register(Gguf, Source)
@collector_paused()
def _read(format: Gguf, source: Source, /) -> Contents:
    header = read_header(source)
    if (count := split_count(header.metadata)) > 1:
        raise FormatError(
            source.name,
            f"it is one of {count} files of a split GGUF",
            "give all of them their names, x-00001-of-00003.gguf and so on, in one folder",
        )
    return _contents(source, header.metadata, _leaves(source, header))


@read.register(Gguf, Folder)
@collector_paused()
def _read_folder(format: Gguf, folder: Folder, /) -> Contents:
    models = _split_models(folder)
    if len(models) != 1:
        names = ", ".join(map(str, models)) or "none"
        raise FormatError(
            folder.name,
            f"one split GGUF is wanted, and in it are {names}",
            "give the path of a part",
        )
    parts = read_parts(folder, models[0])
    leaves: dict[str, Any] = {}
    for source, header in parts:
        leaves.update(_leaves(source, header))
    return _contents(folder, joined_metadata(parts), leaves)


def _leaves(source: Source, header: Header) -> dict[str, Any]:
    return {entry.name: _leaf(source, header, entry) for entry in header.entries}


def _leaf(source: Source, header: Header, entry: TensorInfo) -> LazyTensor | BlockTensor:
    at, kind = header.start + entry.offset, entry.type
    if isinstance(kind, DType):
        return LazyTensor(source, at, kind, entry.shape, order=header.order)
    row = entry.shape[-1] // kind.elements * kind.size
    raw: Any = LazyTensor(source, at, DTYPES["uint8"], (*entry.shape[:-1], row))
    if header.order == ">" and kind.halves:
        raw = SwappedBlocks(raw, kind)
    return BlockTensor(kind, raw, entry.shape)


def _contents(
    source: Source | Folder, metadata: Mapping[str, Any], leaves: dict[str, Any]
) -> Contents:
    """Return the contents, the aliases that our writer recorded among them."""
    ties: dict[str, str] = {}
    for key, kept in metadata.items():
        if key.startswith(TIED):
            alias = key[len(TIED) :]
            if not isinstance(kept, str) or kept not in leaves or alias in leaves:
                raise FormatError(
                    source.name,
                    f"its record of ties says that {alias!r} is {kept!r}, which does not fit",
                    "write it again",
                )
            ties[alias] = kept
    leaves.update((alias, leaves[kept]) for alias, kept in ties.items())
    rest = {key: value for key, value in metadata.items() if not key.startswith(TIED)}
    return Contents(leaves, rest, ties or None)


@write.register(Gguf)
def _write(format: Gguf, target: BinaryIO, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, can_store)
    ties = {TIED + alias: kept for alias, kept in state_dict.ties.items()}
    head, alignment = header_bytes(specs, {**state_dict.metadata, **ties})
    target.write(head)
    for key, known in specs.items():
        for piece in chunks(state_dict[key]):
            target.write(piece)
        target.write(padding(known.nbytes, alignment))
