"""Read and write checkpoint files of any format: lazily, and atomically."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caten_sd.errors import CatenError, FormatError
from caten_sd.files.catalog import (
    file_suffixes,
    find_format,
    format_called,
    format_of_target,
)
from caten_sd.files.config import config_of
from caten_sd.files.format import Contents, Format, read, write
from caten_sd.files.rest import outside_root
from caten_sd.files.which_tree import model_tree
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.options import checked_options
from caten_sd.state.source import Folder, Source, open_file
from caten_sd.state.state_dict import OURS, StateDict, as_state_dict

# Files that are opened as the folder they are in: an index of shards, the metadata of a torch
# distributed checkpoint or of Orbax, and any part of a split GGUF.
_INDEX = re.compile(
    r".*(\.index\.json|\.metadata|-[0-9]{5}-of-[0-9]{5}\.gguf)|_METADATA|manifest\.ocdbt", re.DOTALL
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@checked_options()
@collector_paused()
def read_state_dict(
    location: str | os.PathLike[str],
    *,
    root: str | None = None,
    format: Format | str | None = None,
    streaming: bool = False,
    verify: bool = False,
) -> StateDict:
    """Open a checkpoint of any format and return its lazy leaves; only headers are read.

    A folder may be that of a library around one checkpoint: a cache of Hugging Face, say.
    ``root`` chooses a tree ("model", "ema.shadow") if several in the file could be the model.
    ``streaming`` maps each leaf only while it is in use, for a file larger than memory that is read
    once from start to end. ``verify`` reads every tensor and compares it with the digest that
    ``write_state_dict(..., digests=True)`` stored. FormatError if the file is of an unknown format,
    damaged or hostile.
    """
    place = Path(location)
    if os.path.isdir(location):
        from caten_sd.files.folders_below import meant_folder

        place = meant_folder(place, file_suffixes)
    source = open_source(place, streaming=streaming)
    return read_source(source, place, root=root, format=format, verify=verify)


def read_source(
    source: Source | Folder,
    path: Path,
    *,
    root: str | None = None,
    format: Format | str | None = None,
    verify: bool = False,
) -> StateDict:
    """Return what an open file or folder holds; it is closed if that fails."""
    try:
        chosen = format_called(format) or find_format(source)
        if isinstance(source, Source) and source.inner and not chosen.holds_files:
            problem = f"it is not an archive and has no member {source.inner!r}"
            raise FormatError(source.name, problem, "leave out what follows the ::")
        state_dict = _state_dict(read(chosen, source), source, root, chosen, path)
        if verify:
            from caten_sd.state.digest import verify_digests

            verify_digests(state_dict, source.name)
        return state_dict
    except BaseException as error:
        source.close()
        if isinstance(error, (CatenError, Warning)) or not isinstance(error, Exception):
            raise
        # Whatever a reader stumbles over lies in the file, and is said of the file.
        raise FormatError(
            source.name,
            f"it cannot be read ({type(error).__name__}: {str(error)[:200]})",
            "it is damaged, or of a kind that nobody foresaw: get it again, or report this",
        ) from error


@checked_options()
def write_state_dict(
    state_dict: Mapping[str, Any],
    location: str | os.PathLike[str],
    *,
    format: Format | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    digests: bool = False,
    **options: Any,
) -> None:
    """Write a state dict in the format of the location's suffix, one tensor at a time, atomically.

    A location that ends in "/" is a folder. What was there stays unchanged until the new file, or
    the new set of files, is complete and on disk. ``metadata`` is added to that of the state dict;
    what begins with "caten_sd." is this library's own, and refused unless the state dict has it.
    Its ``others`` and its ``rest``, which are not tensors of the model, are not written.
    ``options`` go to the format's writer, as ``max_shard_size="5GB"`` does to that of shards.
    """
    from caten_sd.objects.shards import process_group_of  # which reading does without

    _check_name(location)
    chosen = format_called(format) or format_to_write(location)
    path = Path(location)
    _check_options(chosen, path, options)
    _check_metadata(chosen, path, metadata or {}, digests=digests)
    given = as_state_dict(state_dict)
    _check_no_own(path, metadata or {}, given.metadata)
    described = _with_metadata(given, metadata or {}, digests=digests)
    processes = process_group_of(given.values())
    with _no_lone_surrogate(path, described):
        if processes is not None and processes.write(chosen, path, described, options):
            return
        if chosen.many:
            write(chosen, path, described, **options)
            return
        from caten_sd.files.atomic import replacing  # which reading does without

        with replacing(path) as target:
            write(chosen, target, described, **options)


@contextlib.contextmanager
def _no_lone_surrogate(path: Path, state_dict: StateDict) -> Iterator[None]:
    """Turn the error for a text that is not UTF-8, which only pickles can hold, into ours."""
    try:
        yield
    except UnicodeEncodeError as error:
        name = next((repr(key) for key in state_dict if _SURROGATE.search(key)), "the metadata")
        raise FormatError(
            path,
            f"{name} has a lone surrogate, which its format cannot hold",
            "rename it, or write a .pt file",
        ) from error


def format_to_write(path: str | os.PathLike[str]) -> Format:
    """Return the format that a path asks for, by its suffix or as a folder."""
    folder = os.fspath(path).endswith(("/", os.sep)) or os.path.isdir(path)
    return format_of_target(Path(path), folder=folder)


def _with_metadata(given: StateDict, metadata: Mapping[str, Any], *, digests: bool) -> StateDict:
    """Return the state dict with more metadata, and with digests if they are asked for."""
    from caten_sd.state.digest import STORED, tensor_digests

    merged = {**given.metadata, **metadata}
    merged.pop(STORED, None)  # digests of the bytes that were read, not of those written now
    if digests:
        merged[STORED] = json.dumps(tensor_digests(given))
    return given.with_entry(given, paths=given.paths, ties=given.ties, metadata=merged)


def _check_name(path: str | os.PathLike[str]) -> None:
    """Refuse what no file can be called."""
    try:
        sound = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        sound = False
    if not sound:
        problem = "its name has a character that no file system takes"
        raise FormatError(ascii(os.fspath(path)), problem, "choose another name")


def _check_metadata(
    format: Format, path: Path, metadata: Mapping[str, Any], *, digests: bool
) -> None:
    """Refuse metadata that the format has no place for, or that its writer makes itself."""
    if (metadata or digests) and not format.holds_metadata:
        asked = "metadata" if metadata else "digests"
        raise FormatError(
            path,
            f"its format is {format.name}, which has no place for {asked}",
            f"leave the {asked} out, or write another format",
        )
    for name in metadata:
        if name.startswith(format.reserved):
            problem = f"the entry {name!r} of the metadata is one that its writer makes itself"
            raise FormatError(path, problem, "leave it out, or call it something else")


def _check_no_own(path: Path, asked: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse entries that tell this library what is in a file, as the stamp of a layout does."""
    for name, value in asked.items():
        if name.startswith(OURS) and (name not in known or known[name] != value):
            problem = f"the entry {name!r} of the metadata would say what nobody has checked"
            fix = (
                "leave it out: layout= or --to writes the stamp of a layout, and digests= or "
                "--digests the digests"
            )
            raise FormatError(path, problem, fix)


def _check_options(format: Format, path: Path, options: Mapping[str, Any]) -> None:
    """Refuse an option that the format's writer does not have, before anything is written."""
    for method in write.methods(type(format)) if options else ():
        known = inspect.signature(method.function).parameters
        unknown = [name for name in options if name not in known]
        if unknown and not any(each.kind is each.VAR_KEYWORD for each in known.values()):
            raise FormatError(
                path,
                f"its format is {format.name}, whose writer has no option {unknown[0]}",
                "leave it out, or end the path in / for a folder of shards",
            )


def open_source(path: Path, *, streaming: bool = False) -> Source | Folder:
    """Open a file, or a folder that is a checkpoint; an index opens the folder it is in.

    ``::`` in a path separates an archive from its member.
    """
    if os.path.isdir(path):  # unlike Path.is_dir, this is false without permission
        return Folder(path, streaming=streaming)
    outer, _, inner = str(path).partition("::")
    source = open_file(Path(outer) if inner and not path.exists() else path, streaming=streaming)
    if source.name == outer:
        source.inner = inner
    if is_index(path):
        source.close()
        return Folder(path.parent, path.name, streaming=streaming)
    return source


def is_index(path: Path) -> bool:
    """Return whether a file is read as the folder that it lies in."""
    return bool(_INDEX.fullmatch(path.name))


def _state_dict(
    contents: Contents, source: Source | Folder, root: str | None, format: Format, path: Path
) -> StateDict:
    chosen = "" if root is None and contents.whole else root
    tree = model_tree(contents.tree, source.name, chosen)
    return StateDict(
        tree.leaves,
        config=config_of(path),
        imports=contents.imports,
        ties=contents.ties if root is None else None,  # a tie's names begin with the root
        metadata=contents.metadata,
        others=tree.others,
        rest={**outside_root(contents.tree, tree.root), **contents.rest},
        origin=(contents.origin or format.name)
        + (f", its tree {tree.root!r}" if tree.root else ""),
        root=tree.root,
        close=source.close,
    )
