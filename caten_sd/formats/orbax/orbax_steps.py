"""Find the tree to read in a folder of Orbax: of a step of several, of the items of a step.

A step holds the items that were saved together, each in a folder, or is the only item itself. A
save that is not done has a name that says so, and is not read, as Orbax does not read it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.wording import counted, first_few

METADATA, MANIFEST_NAME = "_METADATA", "manifest.ocdbt"  # of an item
OF_CHECKPOINT = "_CHECKPOINT_METADATA"
UNFINISHED = ".orbax-checkpoint-tmp"
_STEP = re.compile(r"(?:.*_)?([0-9]{1,18})", re.DOTALL)
_MOST_LOOKS = 200  # folders that are looked into to tell what a folder is


class ItemsFound(NamedTuple):
    """The items of a checkpoint by name, "" if it is one itself, and which step that is."""

    folder: FolderBelow
    items: dict[str, FolderBelow]
    step: str


def evidence(folder: FolderBelow) -> str | None:
    """Return what says that a folder is of Orbax, or None."""
    for name in (METADATA, OF_CHECKPOINT, MANIFEST_NAME):
        if folder.has(name):
            return f"{name} in it"
    names = folder.folders()
    unfinished = [name for name in names if UNFINISHED in name]
    steps = _steps(names)[:_MOST_LOOKS]
    if unfinished or any(_is_checkpoint(folder.below(name)) for _, name in steps):
        return f"{counted(len(steps), 'step')} in it"
    return None


def find_items(folder: FolderBelow) -> ItemsFound:
    """Return what to read: the items of a folder, or of its newest step that is done."""
    refuse_unfinished(folder)
    if _is_checkpoint(folder):
        return ItemsFound(folder, _items(folder), "")
    names = folder.folders()
    steps = [(n, name) for n, name in _steps(names) if _is_checkpoint(folder.below(name))]
    if not steps:
        unfinished = [name for name in names if UNFINISHED in name]
        what = f"; not done: {first_few(unfinished, 4)}" if unfinished else ""
        raise FormatError(
            folder.name, f"no save in it is done{what}", "take another checkpoint, or save again"
        )
    name = steps[-1][1]
    chosen = folder.below(name)
    text = f"step {name}, the newest of {len(steps)}" if steps[1:] else f"step {name}"
    return ItemsFound(chosen, _items(chosen), text)


def refuse_unfinished(folder: FolderBelow) -> None:
    """Refuse a folder whose name says that the save into it is not done."""
    last = folder.name.rstrip("/").rpartition("/")[2]
    if UNFINISHED in last:
        raise FormatError(
            folder.name,
            "its save is not done, as its name says",
            f"take another checkpoint, or, if you know that all of it is there, rename it to "
            f"{last.partition(UNFINISHED)[0]!r}",
        )


def _steps(names: list[str]) -> list[tuple[int, str]]:
    """Return the folders with the name of a step, which ends in its number, in order."""
    found = [(int(match[1]), name) for name in names if (match := _STEP.fullmatch(name))]
    return sorted(found)


def _is_checkpoint(folder: FolderBelow) -> bool:
    """Return whether a folder is an item, or a step that holds some."""
    if any(map(folder.has, (METADATA, OF_CHECKPOINT, MANIFEST_NAME))):
        return True
    return any(folder.below(name).has(METADATA) for name in folder.folders()[:_MOST_LOOKS])


def _items(folder: FolderBelow) -> dict[str, FolderBelow]:
    if folder.has(METADATA):
        return {"": folder}
    names = folder.folders()
    found = {name: folder.below(name) for name in names if folder.below(name).has(METADATA)}
    if not found:
        _refuse_without_tree(folder, names)
    return found


def _refuse_without_tree(folder: FolderBelow, names: list[str]) -> None:
    places = [folder, *(folder.below(name) for name in names)]
    if any(place.has("checkpoint") for place in places):
        raise FormatError(
            folder.name,
            f"it is a checkpoint of an Orbax that wrote no {METADATA} yet",
            "restore it with orbax.checkpoint and save it again",
        )
    raise FormatError(
        folder.name,
        f"it is an Orbax checkpoint without {METADATA}, the list of its arrays, which is written "
        f"last",
        "get all files of the folder again, or take another checkpoint",
    )
