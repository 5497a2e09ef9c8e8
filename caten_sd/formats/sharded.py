"""Shards: several safetensors (or torch) files in one folder, and an index that maps keys to them.

transformers and huggingface_hub write such folders. Their own readers trust the index; here it is
compared with the files, in both directions, before any data is read.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.catalog import file_suffixes, find_format, format_of_target, named_format
from caten_sd.files.file_set import FileSet, file_set
from caten_sd.files.folder_entry import FolderEntry, find_entry
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.rest import add_named, outside_root
from caten_sd.files.shard_index import INDEX, Index, read_index
from caten_sd.files.shard_names import ShardName, free_generation, shard_name, shards_of
from caten_sd.files.shard_sizes import byte_count, split_sizes
from caten_sd.files.which_tree import model_tree
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.source import Folder, open_file
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted, first_few

SHOWN = 3


class Sharded(Format):
    """Shards with an index; the writer takes ``max_shard_size`` ("5GB", or a number of bytes)."""

    name = "sharded"
    suffixes = (".index.json", "/")
    sources = ("folder",)
    many = True
    reserved = ("total_size", "__caten_sd__")


@recognize.register(Sharded, Folder)
def _recognize(format: Sharded, folder: Folder, /) -> str | None:
    entry = find_entry(folder, file_suffixes())
    return f"{entry.name} in it" if entry and entry.is_set else None


@read.register(Sharded, Folder)
def _read(format: Sharded, folder: Folder, /) -> Contents:
    entry = find_entry(folder, file_suffixes())
    if entry is None:
        raise FormatError(folder.name, "it has no index of shards", "open a file by its own path")
    if entry.shards:
        return _merged(folder, None, _complete_set(folder, entry), entry)
    index = read_index(folder.member(entry.name))
    shards = index.shards()
    missing = [name for name in shards if not folder.has(name)]
    if missing:
        held = Counter(index.weight_map.values())
        lost = [f"{name} ({counted(held[name], 'tensor')})" for name in missing]
        _refuse(
            folder,
            f"its index names {counted(len(shards), 'shard')}; {len(lost)} missing: "
            f"{first_few(lost, SHOWN)}",
        )
    return _merged(folder, index, shards, entry)


def _is_stray(name: str, shards: set[str], entry: FolderEntry) -> bool:
    """Return whether a file is a shard that the index does not list.

    Another checkpoint in the folder is not, and neither is what a killed save left.
    """
    stem, _, suffix = entry.name.removesuffix(INDEX).rpartition(".")
    if name in shards or not name.endswith(f".{suffix}"):
        return False
    if known := shard_name(name):
        live = [other for shard in shards if (other := shard_name(shard))]
        generations = {other.generation for other in live} or {0}
        return known.stem == stem and known.generation in generations
    variant = name == f"{stem}.{suffix}" or name.startswith(f"{stem}.")
    return not variant and not name.startswith(("consolidated", "adapter"))


def _complete_set(folder: Folder, entry: FolderEntry) -> list[str]:
    """Return the names of a set of shards without an index; FormatError if one is missing."""
    total = entry.shards[0].total
    expected = [str(entry.shards[0]._replace(number=number + 1)) for number in range(total)]
    lost = sorted(set(expected) - set(map(str, entry.shards)))
    if lost:
        _refuse(
            folder,
            f"its names count {counted(total, 'shard')}; {len(lost)} missing: "
            f"{first_few(lost, SHOWN)}",
        )
    return expected


def _merged(folder: Folder, index: Index | None, shards: list[str], entry: FolderEntry) -> Contents:
    found: dict[str, Mapping[str, Any]] = {}
    ties: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    imports: dict[str, bool] = {}
    others: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name in shards:
        contents = _shard(folder, name, entry)
        tree = model_tree(contents.tree, f"{folder.name}: {name}")
        found[name] = tree.leaves
        add_named(others, tree.others, name)
        add_named(rest, {**contents.rest, **outside_root(contents.tree, tree.root)}, name)
        ties.update(contents.ties or {})
        imports.update(contents.imports)
        metadata = {**contents.metadata, **metadata}
    holders = _holders(folder, found)
    if index is not None:
        _check_index(folder, index, holders, ties)
        _check_strays(folder, index, entry)
        metadata.update((k, v) for k, v in index.metadata.items() if k != "total_size")
    order = holders if index is None else (*index.weight_map, *ties)
    leaves = {key: found[holders[key]][key] for key in order}
    origin = f"{counted(len(shards), 'shard')} of {entry.name}"
    every = {**others, **leaves}
    return Contents(every, metadata, ties or None, origin, imports=imports, rest=rest)


def _holders(folder: Folder, found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the shard of each key; FormatError if two shards have the same key."""
    holders: dict[str, str] = {}
    for name, leaves in found.items():
        for key in leaves:
            if key in holders:
                _refuse(folder, f"{key!r} is in {holders[key]} and in {name}")
            holders[key] = name
    return holders


def _check_index(
    folder: Folder, index: Index, holders: Mapping[str, str], ties: Mapping[str, str]
) -> None:
    """Refuse a key that its shard lacks, and a key that the index does not list."""
    lacking = [key for key, name in index.weight_map.items() if holders.get(key) != name]
    if lacking:
        key, name = lacking[0], index.weight_map[lacking[0]]
        where = f"is in {holders[key]}" if key in holders else "is not in any shard"
        others = f" (the same for {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        _refuse(folder, f"its index maps {key} to {name}, but {key} {where}{others}")
    forgotten = [key for key in holders if key not in index.weight_map and key not in ties]
    if forgotten:
        shard = holders[forgotten[0]]
        _refuse(
            folder, f"{shard} holds {first_few(forgotten, SHOWN)}, which its index does not list"
        )


def _check_strays(folder: Folder, index: Index, entry: FolderEntry) -> None:
    """Refuse a shard in the folder that the index does not name."""
    if _required(entry) is None:
        return
    shards = set(index.shards())
    strays = [name for name in folder.names() if _is_stray(name, shards, entry)]
    if strays:
        _refuse(
            folder,
            f"its index names {counted(len(shards), 'shard')}; {len(strays)} more in it: "
            f"{first_few(strays, SHOWN)}",
        )


def _shard(folder: Folder, name: str, entry: FolderEntry) -> Contents:
    member = folder.member(name)
    inner = find_format(member)
    required = _required(entry)
    if required is not None and inner.name != required:
        _refuse(folder, f"its shard {name} is {inner.name}, and its index asks for {required}")
    return read(inner, member)


def _required(entry: FolderEntry) -> str | None:
    """Return the name of the format that each shard must be of; None if any will do."""
    named = named_format(entry.name.removesuffix(INDEX))
    return named.name if named is not None and named.binding else None


def _refuse(folder: Folder, problem: str) -> NoReturn:
    raise FormatError(
        folder.name, problem, "get the files of one model again, or move away those of another"
    )


@write.register(Sharded)
def _write(
    format: Sharded, target: Path, state_dict: StateDict, /, *, max_shard_size: int | str = "5GB"
) -> None:
    index_name = target.name if target.name.endswith(INDEX) else f"model.safetensors{INDEX}"
    folder = target.parent if target.name == index_name else target
    single = index_name.removesuffix(INDEX)
    inner = format_of_target(Path(single))
    if inner.many:
        raise FormatError(
            target, "its name says nothing of the shards", f"call it model.safetensors{INDEX}"
        )
    sizes = {
        key: known.nbytes if (known := spec_or_none(leaf)) else 0
        for key, leaf in state_dict.items()
        if key not in state_dict.ties
    }
    shards = split_sizes(sizes, byte_count(max_shard_size))
    alone = len(shards) == 1 and target == folder
    with file_set(folder, single if alone else index_name) as files:
        old = _replaced(files, index_name)
        if alone:
            with files.commit() as file:
                write(inner, file, state_dict)
        else:
            _write_set(files, index_name, inner, shards, state_dict, sum(sizes.values()))
            _remove_single(files, single)
        files.remove(name for name in old if name != files.last)


def _replaced(files: FileSet, index_name: str) -> list[str]:
    """Return what is of no use after the next commit: old shards, then their index.

    Without locks, a shard that the index does not name may belong to another save.
    """
    stem, _, suffix = index_name.removesuffix(INDEX).rpartition(".")
    shards = list(map(str, shards_of(files.names(), stem, f".{suffix}")))
    if not files.locked:
        named = _named_by(files.folder / index_name)
        shards = [name for name in shards if name in named]
    return [*shards, index_name]


def _named_by(path: Path) -> set[str]:
    """Return the shards that an index names; none if there is no sound index."""
    with contextlib.suppress(FormatError), contextlib.closing(open_file(path)) as source:
        return set(read_index(source).shards())
    return set()


def _remove_single(files: FileSet, single: str) -> None:
    """Remove the one file of the old model, by which the folder would be read before its index."""
    files.remove([single])
    if files.locked and single in files.names():
        raise FormatError(
            files.folder / single,
            "the new shards are there, but this old file cannot be removed and is read first",
            f"remove it, or open {single}{INDEX} next to it",
        )


def _write_set(
    files: FileSet,
    index_name: str,
    inner: Format,
    shards: list[list[str]],
    state_dict: StateDict,
    total_size: int,
) -> None:
    """Write the shards under unused names, then the index."""
    stem, _, suffix = index_name.removesuffix(INDEX).rpartition(".")
    generation = free_generation(files.names(), stem, f".{suffix}", alone=files.locked)
    weight_map: dict[str, str] = {}
    for number, keys in enumerate(shards):
        name = str(ShardName(stem, generation, number + 1, len(shards), f".{suffix}"))
        with files.create(name) as file:
            write(inner, file, _selected(state_dict, keys))
        weight_map.update(dict.fromkeys(keys, name))
    ordered = {key: weight_map[key] for key in state_dict if key in weight_map}
    index = Index(ordered, {**state_dict.metadata, "total_size": total_size})
    with files.commit() as file:
        file.write(index.to_json())


def _selected(state_dict: StateDict, keys: list[str]) -> StateDict:
    """Return these keys alone, with the keys that are tied to them."""
    ties = {name: kept for name, kept in state_dict.ties.items() if kept in set(keys)}
    return StateDict({key: state_dict[key] for key in (*keys, *ties)}, ties=ties)
