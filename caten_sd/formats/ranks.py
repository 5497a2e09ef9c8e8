"""A model that is divided among ranks: Meta's consolidated.0N.pth, and Megatron's mp_rank_0N.

Each rank has a part of every large tensor. Along which axis is what the rows of a layout say, so
the parts are joined only where a layout names every key. What each rank has whole is read and
compared, which is the norms. Megatron's pipeline stages are ranks that have other layers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caten_sd.errors import FormatError, LayoutError
from caten_sd.files.catalog import file_suffixes, find_format, format_of_target
from caten_sd.files.folder_entry import find_entry
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.new_folder import new_folder
from caten_sd.files.rank_files import rank_files, rank_sets
from caten_sd.files.rest import add_named, outside_root
from caten_sd.files.which_tree import model_tree
from caten_sd.state.source import Folder
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

# Of files of Megatron; without it, its loader turns the rows of Q, K and V.
_NUMBERS = {"checkpoint_version": 3.0}


class Ranks(Format):
    """The files of all ranks of one model; the writer takes their number, ``ranks``."""

    name = "ranks"
    sources = ("folder",)
    many = True


@recognize.register(Ranks, Folder)
def _recognize(format: Ranks, folder: Folder, /) -> str | None:
    if not rank_sets(folder) or find_entry(folder, file_suffixes()):
        return None
    return f"{counted(sum(map(len, rank_files(folder))), 'rank')} of a model in it"


@read.register(Ranks, Folder)
def _read(format: Ranks, folder: Folder, /) -> Contents:
    from caten_sd.mapping.joined_ranks import joined_ranks  # which other folders do without
    from caten_sd.mapping.joined_stages import joined_stages

    stages = rank_files(folder)
    if not stages:
        raise FormatError(folder.name, "it has no files of ranks", "open a file by its own path")
    metadata: dict[str, Any] = {}
    imports: dict[str, bool] = {}
    others: dict[str, Any] = {}
    rest: dict[str, Any] = {}

    def leaves_of(name: str) -> Mapping[str, Any]:
        member = folder.member(name)
        contents = read(find_format(member), member)
        tree = model_tree(contents.tree, f"{folder.name}: {name}")
        add_named(others, tree.others, name)
        add_named(rest, {**contents.rest, **outside_root(contents.tree, tree.root)}, name)
        metadata.update(contents.metadata)
        imports.update(contents.imports)
        return tree.leaves

    try:
        parts = [joined_ranks({name: leaves_of(name) for name in names}) for names in stages]
        leaves = joined_stages(parts)
    except LayoutError as error:
        raise FormatError(
            folder.name, str(error), "open one of its files by its own path"
        ) from None
    origin = f"{counted(sum(map(len, stages)), 'rank')}, {stages[0][0]} the first"
    every = {**others, **leaves}
    return Contents(every, metadata, None, origin, whole=True, imports=imports, rest=rest)


@write.register(Ranks)
def _write(format: Ranks, target: Path, state_dict: StateDict, /, *, ranks: int = 1) -> None:
    from caten_sd.mapping.divided_ranks import divided_among
    from caten_sd.mapping.rank_names import rank_place

    layout, parts = divided_among(state_dict, ranks)
    if not layout.rank_file:
        raise LayoutError(f"layout {layout.name} does not say where a rank is written")
    with new_folder(target) as files:
        for rank, leaves in enumerate(parts):
            name, within = rank_place(layout.rank_file, rank)
            if folder := os.path.dirname(name):
                files.make_folder(folder)
            member = format_of_target(Path(name), folder=False)
            part = StateDict(leaves, metadata=state_dict.metadata)
            options = {"within": within, "numbers": _NUMBERS} if within else {}
            with files.create(name) as file:
                write(member, file, part, **options)
