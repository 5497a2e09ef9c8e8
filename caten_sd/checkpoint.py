"""The verbs over checkpoint files of any format: read lazily, write atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caten_sd.atomic import replacing
from caten_sd.catalog import find_format, format_of_suffix
from caten_sd.files import Contents, Format, read, write
from caten_sd.roots import model_tree
from caten_sd.source import Folder, Source, open_file
from caten_sd.state_dict import StateDict, as_state_dict


def read_state_dict(
    path: str | os.PathLike[str], *, root: str | None = None, format: Format | None = None
) -> StateDict:
    """Open a checkpoint of any format and return its lazy leaves; only headers are read.

    ``root`` names the tree to take ("model", "ema.shadow") where a file holds several that could be
    a model. FormatError if the file is none that is known, damaged or hostile.
    """
    source = open_source(Path(path))
    try:
        contents = read(format or find_format(source), source)
        return _state_dict(contents, source, root)
    except BaseException:
        source.close()
        raise


def write_state_dict(
    state_dict: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Write a state dict in the format of the path's suffix, one tensor at a time, atomically.

    What was at ``path`` stays whole until the new file is complete and on disk.
    """
    path = Path(path)
    chosen = format or format_of_suffix(path)
    given = as_state_dict(state_dict)
    described = StateDict(
        given, paths=given.paths, ties=given.ties, metadata={**given.metadata, **(metadata or {})}
    )
    with replacing(path) as target:
        write(chosen, target, described, **options)


def open_source(path: Path) -> Source | Folder:
    """Open a file, or a folder that is a checkpoint."""
    return Folder(path) if path.is_dir() else open_file(path)


def _state_dict(contents: Contents, source: Source | Folder, root: str | None) -> StateDict:
    tree = model_tree(contents.tree, source.name, root)
    metadata = dict(contents.metadata)
    if tree.root:
        metadata["caten_sd.root"] = tree.root
    return StateDict(
        tree.leaves,
        ties=contents.ties,
        metadata=metadata,
        others=tree.others,
        close=source.close,
    )
