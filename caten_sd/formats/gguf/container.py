"""GGUF: typed metadata, a table of tensors, and their data, dense or in quantized blocks.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3 in either byte
order are read, from one file or from a split one; version 3 in little endian is written, the same
bytes as gguf-py's GGUFWriter. The docstring of header.py says why gguf-py does not read the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from caten_sd.blocks.big_endian import SwappedBlocks
from caten_sd.blocks.quantized_leaf import QuantizedLeaf
from caten_sd.errors import FormatError
from caten_sd.files.format import Contents, Described, Format, read, recognize, write
from caten_sd.files.shard_names import ShardName
from caten_sd.files.stored_specs import stored_specs
from caten_sd.formats.gguf.file_types import FILE_TYPE, true_file_type
from caten_sd.formats.gguf.header import MAGIC, Header, read_header
from caten_sd.formats.gguf.header_output import can_store, header_bytes, padding
from caten_sd.formats.gguf.split import joined_metadata, read_split, split_count, split_name
from caten_sd.formats.gguf.tensor_table import TensorKind
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict

TIED = "caten_sd.tied."  # before a tied key; the value is the key that its tensor is stored under


class Gguf(Format):
    """The GGUF format, one file or all files of a split model."""

    name = "gguf"
    suffixes = (".gguf",)
    reserved = ("caten_sd.tied.",)

    def described(self, state_dict: StateDict, folder: Path) -> Described:
        """Return the tokenizer, and the factors of scaled frequencies."""
        from caten_sd.formats.gguf.neighbors import described  # which reading does without

        return described(state_dict, folder)


@recognize.register(Gguf, Source)
def _recognize(format: Gguf, source: Source, /) -> str | None:
    return "it begins with GGUF" if source.head(4) == MAGIC else None


@recognize.register(Gguf, Folder)
def _recognize_folder(format: Gguf, folder: Folder, /) -> str | None:
    models = _split_models(folder)
    return f"the files of {models[0]}" if models else None


def _split_models(folder: Folder) -> list[ShardName]:
    """Return the first file of each split model in the folder, or of the model that was opened."""
    names = [folder.index] if folder.index else folder.names()
    found = [known for name in names if (known := split_name(name))]
    return list({known._replace(number=1): None for known in found})


@read.register(Gguf, Source)
@collector_paused()
def _read(format: Gguf, source: Source, /) -> Contents:
    header = read_header(source)
    if (count := split_count(header.metadata)) > 1:
        raise FormatError(
            source.name,
            f"it is one of {count} files of a split GGUF, and its name does not say which",
            "name all of them as in x-00001-of-00003.gguf and put them in one folder",
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
            f"it must have one split GGUF, but it has {names}",
            "give the path of one of its files",
        )
    files = read_split(folder, models[0])
    leaves: dict[str, Any] = {}
    for source, header in files:
        leaves.update(_leaves(source, header))
    return _contents(folder, joined_metadata(files), leaves)


def _leaves(source: Source, header: Header) -> LeafTable | dict[str, Any]:
    """Return the leaves, each made when it is asked for if the types of all tensors are known."""
    names, kinds, offsets = header.tensors

    def leaf(position: int) -> LazyTensor | BlockTensor | Opaque:
        return _leaf(source, header, kinds[position], header.start + offsets[position])

    if any(isinstance(kind.type, int) for kind in header.tensors.distinct_kinds()):
        return {name: leaf(position) for position, name in enumerate(names)}
    return LeafTable(names, leaf)


def _leaf(
    source: Source, header: Header, kind: TensorKind, at: int
) -> LazyTensor | BlockTensor | Opaque:
    type, shape = kind.type, kind.shape
    if isinstance(type, int):
        return Opaque(f"GGUF tensor of the unknown type {type}", (shape,))
    if isinstance(type, DType):
        return LazyTensor(source, at, type, shape, order=header.order)
    row = shape[-1] // type.elements * type.size
    raw: Any = LazyTensor(source, at, DTYPES["uint8"], (*shape[:-1], row))
    if header.order == ">" and type.halves:
        raw = SwappedBlocks(raw, type)
    return BlockTensor(type, raw, shape)


def _contents(
    source: Source | Folder, metadata: Mapping[str, Any], leaves: LeafTable | dict[str, Any]
) -> Contents:
    """Return the contents, with the tied keys that our writer recorded in the metadata."""
    ties: dict[str, str] = {}
    for key, kept in metadata.items():
        if key.startswith(TIED):
            alias = key[len(TIED) :]
            if not isinstance(kept, str) or kept not in leaves or alias in leaves:
                raise FormatError(
                    source.name,
                    f"its metadata {key!r} ties {alias!r} to {kept!r}, but only the second "
                    f"may be a tensor in it, and must be",
                    "write it again",
                )
            ties[alias] = kept
    for alias, kept in ties.items():
        leaves[alias] = leaves[kept]
    rest = {key: value for key, value in metadata.items() if not key.startswith(TIED)}
    return Contents(leaves, rest, ties or None)


@write.register(Gguf)
def _write(format: Gguf, target: BinaryIO, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, can_store)
    ties = {TIED + alias: kept for alias, kept in state_dict.ties.items()}
    said = dict(state_dict.metadata)
    if any(isinstance(getattr(leaf, "raw", None), QuantizedLeaf) for leaf in state_dict.values()):
        said.setdefault("general.quantization_version", 2)  # GGML_QNT_VERSION of ggml.h
    if FILE_TYPE in said:
        said[FILE_TYPE] = true_file_type(specs, said[FILE_TYPE])
    head, alignment = header_bytes(specs, {**said, **ties})
    target.write(head)
    for key, known in specs.items():
        for piece in reported_pieces(state_dict[key]):
            target.write(piece)
        target.write(padding(known.nbytes, alignment))
