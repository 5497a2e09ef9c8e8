"""Find the model among the files of a folder, by the names that common libraries write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from caten_sd.errors import FormatError
from caten_sd.files.foreign_members import foreign_folder
from caten_sd.files.rank_files import rank_sets
from caten_sd.files.shard_index import INDEX
from caten_sd.files.shard_names import ShardName, shard_name
from caten_sd.state.quoting import path_choice
from caten_sd.state.source import Folder
from caten_sd.wording import first_few

# If a folder has two models, the first of these names is taken, as in transformers and diffusers.
_FIRST = tuple(
    f"{stem}{ending}"
    for suffix in (".safetensors", ".bin")
    for stem in ("model", "diffusion_pytorch_model", "pytorch_model")
    for ending in (suffix, suffix + INDEX)
)
_NOT_MODELS = ("optimizer", "scheduler", "scaler", "rng_state", "random_states", "training_args")


class FolderEntry:
    """What to read of a folder: a file, an index, or ``shards`` that no index lists."""

    def __init__(self, name: str, shards: Sequence[ShardName] = ()) -> None:
        self.name, self.shards = name, tuple(shards)

    @property
    def is_set(self) -> bool:
        """Whether the model is in several files."""
        return bool(self.shards) or self.name.endswith(INDEX)


def find_entry(folder: Folder, suffixes: Sequence[str]) -> FolderEntry | None:
    """Return the model in a folder, or None; FormatError if there are several, with their names.

    ``suffixes`` are those of checkpoint files. safetensors files are taken before all others.
    FormatError also says if another library keeps something else in such files.
    """
    if folder.index:
        return FolderEntry(folder.index) if folder.index.endswith(INDEX) else None
    if (foreign := foreign_folder(folder)) is not None:
        raise foreign
    ranks = {name for each in rank_sets(folder) for name in each.values()}
    names = [n for n in folder.names() if n not in ranks and is_candidate(n, suffixes)]
    safe = [name for name in names if _ends_in(name, (".safetensors", f".safetensors{INDEX}"))]
    found = _entries(safe or names)
    for first in _FIRST:
        named = [entry for entry in found if PurePosixPath(entry.name).name == first]
        if len(named) == 1:
            return named[0]
    if len(found) > 1:
        sizes = [f"{entry.name} ({folder.size(entry.name):,} bytes)" for entry in found]
        path = f"{folder.name}::{found[0].name}"
        raise FormatError(
            folder.name,
            f"{len(found)} checkpoints are in it: {first_few(sizes, 8)}",
            "open one of them by its own path"
            + f", {path_choice(path)} say" * (folder.kind == "archive"),
        )
    return found[0] if found else None


def _entries(names: list[str]) -> list[FolderEntry]:
    """Return single files, indexes, and the sets of shards that no index lists."""
    sets: dict[tuple[object, ...], list[ShardName]] = {}
    singles = []
    for name in names:
        if known := shard_name(name):
            sets.setdefault(known._replace(number=0), []).append(known)
        else:
            singles.append(name)
    listed = {name.removesuffix(INDEX) for name in singles if name.endswith(INDEX)}
    unlisted = [s for s in sets.values() if s[0].stem + s[0].suffix not in listed]
    return [
        *map(FolderEntry, singles),
        *(FolderEntry(str(shards[0]), shards) for shards in unlisted),
    ]


def is_candidate(name: str, suffixes: Sequence[str]) -> bool:
    """Return whether a file has the name of a checkpoint, or of an index, that holds a model."""
    base = PurePosixPath(name).name.lower()
    return not base.startswith((".", *_NOT_MODELS)) and _ends_in(base, (*suffixes, INDEX))


def _ends_in(name: str, suffixes: Sequence[str]) -> bool:
    return name.lower().endswith(tuple(suffixes))
