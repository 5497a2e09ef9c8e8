"""DCP: a torch distributed checkpoint, a folder of .distcp files and a .metadata.

Layout: torch/distributed/checkpoint/filesystem.py (2.13). Read offline, without torch and without
the processes that wrote it; every tensor's boxes are checked to tile it before anything is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.catalog import find_format
from caten_sd.files.file_set import file_set
from caten_sd.files.format import Contents, Format, read, recognize, stored_specs, write
from caten_sd.files.sidecar import EMPTY, parse_sidecar
from caten_sd.files.which_tree import model_tree
from caten_sd.formats.torch.dcp_metadata import (
    Chunk,
    DcpMetadata,
    DcpTensor,
    Record,
    read_dcp_metadata,
)
from caten_sd.formats.torch.dcp_output import dcp_metadata_bytes, write_record
from caten_sd.formats.torch.pickle_output import torch_holds
from caten_sd.state.leaf import DType, Opaque, Spec, spec
from caten_sd.state.pieces import chunks
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tiles import Cover, Sizes, Tile, TiledTensor, misfit

METADATA, SUFFIX = ".metadata", ".distcp"

_last: list[Format] = []
_RANK = re.compile(r"__([0-9]{1,6})_[0-9]+\.distcp")


class Dcp(Format):
    """A torch distributed checkpoint."""

    name = "dcp"
    suffixes = (".dcp", ".dcp/", METADATA)
    many = True


@recognize.register(Dcp, Folder)
def _recognize(format: Dcp, folder: Folder, /) -> str | None:
    names = folder.names()
    if METADATA in names and folder.index in ("", METADATA):
        return f"a {METADATA} in it"
    return f"{SUFFIX} files in it" if any(name.endswith(SUFFIX) for name in names) else None


@read.register(Dcp, Folder)
def _read(format: Dcp, folder: Folder, /) -> Contents:
    if not folder.has(METADATA):
        raise FormatError(
            folder.name,
            f"it has {SUFFIX} files and no {METADATA}, which the first process alone writes",
            "copy it from that machine",
        )
    metadata = read_dcp_metadata(folder.member(METADATA))
    chunks_of = (entry.chunks for entry in metadata.entries.values())
    paths = sorted({chunk.record.path for each in chunks_of for chunk in each if chunk.record})
    sizes = {path: folder.size(path) for path in paths if folder.has(path)}
    absent = [path for path in paths if path not in sizes]
    leaves = {
        key: _leaf(folder, key, entry, sizes, absent) for key, entry in metadata.entries.items()
    }
    record = parse_sidecar(metadata.extra.encode(), folder.name) if metadata.extra else EMPTY
    ties = {name: kept for name, kept in record.ties.items() if {name, kept} <= set(leaves)}
    leaves.update((name, leaves[kept]) for name, kept in ties.items())
    return Contents(_tree(folder, metadata, leaves), record.metadata, ties or None)


def _leaf(
    folder: Folder, key: str, entry: DcpTensor, sizes: Mapping[str, int], absent: list[str]
) -> Any:
    if entry.dtype is None:
        return Opaque(f"{entry.name} in a distributed checkpoint")
    there = [c for c in entry.chunks if c.record is not None and c.record.path in sizes]
    wrong = misfit(entry.shape, [(chunk.start, chunk.stop) for chunk in there])
    if wrong is not None:
        _refuse(folder, f"{key}: {_words(wrong, absent or _gap(entry.chunks))}")
    tiles = [_tile(folder, key, chunk, entry.dtype, sizes) for chunk in there]
    return TiledTensor(entry.dtype, tiles, [range(size) for size in entry.shape])


def _words(wrong: Cover, absent: list[str]) -> str:
    """Return what the ranges cover and what they do not, in one sentence."""
    what = "rows" if wrong.axis == 0 else f"along axis {wrong.axis} indices"
    if wrong.twice:
        return f"{what} {_runs(wrong.twice)} are in two places"
    hint = f" (missing {absent[0]}?)" if absent else ""
    covered = f"ranges cover {what} {_runs(wrong.once)}; " if wrong.once else ""
    what = "rows" if wrong.axis == 0 else "indices"
    return f"{covered}{what} {_runs(wrong.missing)} are in no file{hint}"


def _runs(runs: list[tuple[int, int]]) -> str:
    words = [f"{start}-{stop - 1}" if stop - start > 1 else str(start) for start, stop in runs]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _gap(chunks: list[Chunk]) -> list[str]:
    """Return the file of the first process from which nothing came, where others have numbers."""
    found = [_RANK.fullmatch(chunk.record.path) for chunk in chunks if chunk.record]
    ranks = {int(match[1]) for match in found if match}
    return [f"__{n}_0{SUFFIX}" for n in range(max(ranks, default=0)) if n not in ranks][:1]


def _tile(folder: Folder, key: str, chunk: Chunk, dtype: DType, sizes: Mapping[str, int]) -> Tile:
    record = chunk.record
    assert record is not None
    box = tuple(stop - start for start, stop in zip(chunk.start, chunk.stop, strict=True))
    if record.offset + record.length > sizes[record.path]:
        _refuse(folder, f"{key}: {record.path} ends before byte {record.offset + record.length}")
    if dtype.nbytes(math.prod(box)) > record.length:
        _refuse(folder, f"{key}: {record.length} bytes cannot hold {dtype} {list(box)}")
    return Tile(chunk.start, chunk.stop, cache(partial(_open, folder, key, record, dtype, box)))


def _open(folder: Folder, key: str, record: Record, dtype: DType, sizes: Sizes) -> Any:
    """Return the leaf in a record, which must be a torch.save of exactly the box."""
    name = f"{folder.name}/{record.path}, {key}"
    window = folder.member(record.path).window(record.offset, record.length, name)
    leaves = model_tree(read(_format_of(window), window).tree, name).leaves
    leaf = leaves.get("")  # what is saved by itself has no name
    if leaf is None or len(leaves) > 1 or spec(leaf)[:2] != (sizes, dtype):
        found = "no tensor by itself" if leaf is None else leaf
        _refuse(folder, f"{key}: its record in {record.path} holds {found}, not {dtype} {sizes}")
    return leaf


def _format_of(window: Source) -> Format:
    """Return the format of a record: mostly that of the last one, which costs one question."""
    if not _last or not recognize(_last[0], window):
        _last[:] = [find_format(window)]
    return _last[0]


def _tree(folder: Folder, metadata: DcpMetadata, leaves: dict[str, Any]) -> Any:
    """Return the leaves as the tree that was saved, by the paths that its planner recorded."""
    tree: dict[str, Any] = {}
    for key, leaf in leaves.items():
        *parents, last = metadata.paths.get(key, (key,))
        node = tree
        for parent in parents:
            node = node.setdefault(str(parent), {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or str(last) in node:
            _refuse(folder, f"{key!r} has no place in the tree that was saved")
        node[str(last)] = leaf
    return tree


def _refuse(folder: Folder, problem: str) -> NoReturn:
    raise FormatError(folder.name, problem, "get the missing files of every process")


@write.register(Dcp)
def _write(format: Dcp, target: Path, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, _holds)
    with file_set(target.parent if target.name == METADATA else target) as files:
        before = [name for name in files.names() if name.endswith(SUFFIX)]
        ranks = [int(found[1]) for name in before if (found := _RANK.fullmatch(name))]
        name = f"__{max(ranks, default=-1) + 1}_0{SUFFIX}"
        stored: dict[str, tuple[Spec, Record]] = {}
        with files.create(name) as file:
            for key, known in specs.items():
                start = file.tell()
                write_record(file, known, chunks(state_dict[key]))
                stored[key] = known, Record(name, start, file.tell() - start)
        # torch looks for every name, so a further one is a second way to the same record.
        everything = {key: stored[state_dict.ties.get(key, key)] for key in state_dict}
        record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
        extra = record.to_json().decode() if record else ""
        with files.commit(METADATA) as file:
            file.write(dcp_metadata_bytes(everything, extra))
        files.remove(before)


def _holds(known: Spec) -> bool:
    return known.dtype.itemsize > 0 and torch_holds(known)
