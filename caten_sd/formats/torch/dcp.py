"""DCP: a torch distributed checkpoint, a folder of .distcp files and a .metadata.

Source: torch/distributed/checkpoint/filesystem.py (2.13). It is read without torch and without the
processes that wrote it. That the boxes of every tensor tile it is checked before any is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.files.file_set import file_set
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.sidecar import EMPTY, parse_sidecar
from caten_sd.files.stored_specs import stored_specs
from caten_sd.formats.torch.dcp_files import (
    METADATA,
    SUFFIX,
    data_files,
    next_process,
    process_numbers,
    replaced_files,
)
from caten_sd.formats.torch.dcp_metadata import (
    Chunk,
    DcpMetadata,
    DcpTensor,
    read_dcp_metadata,
)
from caten_sd.formats.torch.dcp_objects import Record
from caten_sd.formats.torch.dcp_output import (
    dcp_can_hold,
    dcp_metadata_bytes,
    extra_of,
    write_record,
)
from caten_sd.formats.torch.dcp_records import RecordFolder, refuse
from caten_sd.state.leaf import Opaque, Spec
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Folder, Source
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tiles import CoverageFault, TiledTensor, coverage_fault
from caten_sd.state.tree import key_text


class Dcp(Format):
    """A torch distributed checkpoint."""

    name = "dcp"
    suffixes = (".dcp", ".dcp/", ".metadata")
    sources = ("folder",)
    many = True

    def zip_files(self, source: Source | Folder) -> Iterator[Source]:
        """Yield the records, each of which is a torch.save."""
        assert isinstance(source, Folder)
        for record in read_dcp_metadata(source.member(METADATA)).records:
            if source.has(record.path):
                name = f"{source.name}/{record.path} at {record.offset}"
                window = source.member(record.path).window(record.offset, record.length, name)
                yield from super().zip_files(window)


@recognize.register(Dcp, Folder)
def _recognize(format: Dcp, folder: Folder, /) -> str | None:
    names = folder.names()
    if METADATA in names and folder.index in ("", METADATA):
        return f"a {METADATA} in it"
    return f"{SUFFIX} files in it" if data_files(names) else None


@read.register(Dcp, Folder)
def _read(format: Dcp, folder: Folder, /) -> Contents:
    if not folder.has(METADATA):
        raise FormatError(
            folder.name,
            f"it has {SUFFIX} files but no {METADATA}, which only the first process writes",
            "copy that file from its machine",
        )
    metadata = read_dcp_metadata(folder.member(METADATA))
    chunks_of = (entry.chunks for entry in metadata.entries.values())
    paths = sorted({chunk.record.path for each in chunks_of for chunk in each if chunk.record})
    records = RecordFolder(folder, paths)
    missing = [path for path in paths if path not in records.sizes]
    leaves = {key: _leaf(records, key, entry, missing) for key, entry in metadata.entries.items()}
    record = parse_sidecar(metadata.extra.encode(), folder.name) if metadata.extra else EMPTY
    ties = {name: kept for name, kept in record.ties.items() if {name, kept} <= set(leaves)}
    leaves.update((name, leaves[kept]) for name, kept in ties.items())
    tree = _tree(folder, metadata, leaves)
    return Contents(tree, record.metadata, ties or None, imports=metadata.imports)


def _leaf(records: RecordFolder, key: str, entry: DcpTensor, missing: Sequence[str]) -> Any:
    if entry.dtype is None:
        return Opaque(f"{entry.name} in a distributed checkpoint")
    there = [each for each in entry.chunks if each.record and each.record.path in records.sizes]
    wrong = coverage_fault(entry.shape, [(chunk.start, chunk.stop) for chunk in there])
    if wrong is not None:
        files = missing or _first_gap(entry.chunks)
        refuse(records.folder, f"{key}: {_cover_text(wrong, files)}")
    tiles = [records.tile(key, chunk, entry.dtype) for chunk in there]
    return TiledTensor(entry.dtype, tiles, [range(size) for size in entry.shape])


def _cover_text(wrong: CoverageFault, missing: Sequence[str]) -> str:
    """Return which indices are covered, twice covered or not covered, in one sentence."""
    what = "rows" if wrong.axis == 0 else f"along axis {wrong.axis} indices"
    if wrong.twice:
        return f"{what} {_runs(wrong.twice)} are in two places"
    hint = f" (missing {missing[0]}?)" if missing else ""
    covered = f"ranges cover {what} {_runs(wrong.once)}; " if wrong.once else ""
    what = "rows" if wrong.axis == 0 else "indices"
    return f"{covered}{what} {_runs(wrong.missing)} are in no file{hint}"


def _runs(runs: list[tuple[int, int]]) -> str:
    texts = [f"{start}-{stop - 1}" if stop - start > 1 else str(start) for start, stop in runs]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _first_gap(chunks: list[Chunk]) -> list[str]:
    """Return the file of the first process that has no box, if a later process has one."""
    numbers = process_numbers(chunk.record.path for chunk in chunks if chunk.record)
    return [f"__{n}_0{SUFFIX}" for n in range(max(numbers, default=0)) if n not in numbers][:1]


def _tree(folder: Folder, metadata: DcpMetadata, leaves: dict[str, Any]) -> Any:
    """Return the leaves as the tree that was saved; its planner recorded the path of each."""
    tree: dict[str, Any] = {}
    for key, leaf in leaves.items():
        *parents, last = metadata.paths.get(key, (key,))
        node = tree
        for parent in parents:
            node = node.setdefault(key_text(parent), {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or key_text(last) in node:
            refuse(folder, f"the path of {key!r} in the saved tree collides with another key's")
        node[key_text(last)] = leaf
    return tree


@write.register(Dcp)
def _write(format: Dcp, target: Path, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, dcp_can_hold)
    with file_set(target.parent if target.name == METADATA else target, METADATA) as files:
        old = replaced_files(files)
        name = f"__{next_process(files.names())}_0{SUFFIX}"
        stored: dict[str, tuple[Spec, Record]] = {}
        with files.create(name) as file:
            for key, known in specs.items():
                start = file.tell()
                write_record(file, known, reported_pieces(state_dict[key]))
                stored[key] = known, Record(name, start, file.tell() - start)
        # torch looks up every key, so a tied key points at the record of the other.
        every_key = {key: stored[state_dict.ties.get(key, key)] for key in state_dict}
        with files.commit() as file:
            file.write(dcp_metadata_bytes(every_key, extra_of(state_dict)))
        files.remove(old)
