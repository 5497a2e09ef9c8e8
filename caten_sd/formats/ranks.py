"""A model that is divided among ranks: Meta's consolidated.0N.pth, and Megatron's mp_rank_0N.

Each rank has a part of every large tensor. Along which axis is what the rows of a layout say, so
the parts are joined only where a layout names every key. What each rank has whole is read and
compared, which is the norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import FormatError, LayoutError
from caten_sd.files.catalog import file_suffixes, find_format
from caten_sd.files.folder_entry import find_entry
from caten_sd.files.format import Contents, Format, read, recognize
from caten_sd.files.rank_files import rank_files, rank_sets
from caten_sd.files.rest import add_named, outside_root
from caten_sd.files.which_tree import model_tree
from caten_sd.state.source import Folder
from caten_sd.wording import counted


class Ranks(Format):
    """The files of all ranks of one model; read only."""

    name = "ranks"
    sources = ("folder",)


@recognize.register(Ranks, Folder)
def _recognize(format: Ranks, folder: Folder, /) -> str | None:
    if not rank_sets(folder) or find_entry(folder, file_suffixes()):
        return None
    return f"{counted(len(rank_files(folder)), 'rank')} of a model in it"


@read.register(Ranks, Folder)
def _read(format: Ranks, folder: Folder, /) -> Contents:
    from caten_sd.mapping.joined_ranks import joined_ranks  # which other folders do without

    names = rank_files(folder)
    if not names:
        raise FormatError(folder.name, "it has no files of ranks", "open a file by its own path")
    ranks: dict[str, Mapping[str, Any]] = {}
    metadata: dict[str, Any] = {}
    imports: dict[str, bool] = {}
    others: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name in names:
        member = folder.member(name)
        contents = read(find_format(member), member)
        tree = model_tree(contents.tree, f"{folder.name}: {name}")
        ranks[name] = tree.leaves
        add_named(others, tree.others, name)
        add_named(rest, {**contents.rest, **outside_root(contents.tree, tree.root)}, name)
        metadata.update(contents.metadata)
        imports.update(contents.imports)
    try:
        leaves = joined_ranks(ranks)
    except LayoutError as error:
        raise FormatError(
            folder.name, str(error), "open one of its files by its own path"
        ) from None
    origin = f"{counted(len(names), 'rank')}, {names[0]} the first"
    every = {**others, **leaves}
    return Contents(every, metadata, None, origin, whole=True, imports=imports, rest=rest)
