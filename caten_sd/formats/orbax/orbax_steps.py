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
_MARKS = (METADATA, OF_CHECKPOINT, MANIFEST_NAME)
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
    for name in _MARKS:
        if folder.has(name):
            return f"{name} in it"
    names = folder.folders()
    if any(UNFINISHED in name for name in (folder.last, *names)) and not folder.files():
        return f"{UNFINISHED} in the name of a folder"
    if steps := _steps(folder, names):
        return f"{counted(len(steps), 'step')} in it"
    return "the items of a step in it" if _are_items(folder, names) else None


def find_items(folder: FolderBelow) -> ItemsFound:
    """Return what to read: the items of a folder, or of its newest step that is done."""
    if UNFINISHED in folder.last:
        raise _unfinished(folder)
    names = folder.folders()
    if any(map(folder.has, _MARKS)):
        return ItemsFound(folder, _items(folder, names), "")
    if steps := _steps(folder, names):
        chosen = folder.below(steps[-1])
        text = f", the newest of {len(steps)}" * (len(steps) > 1)
        return ItemsFound(chosen, _items(chosen, chosen.folders()), f"step {steps[-1]}{text}")
    if _are_items(folder, names):
        return ItemsFound(folder, _items(folder, names), "")
    unfinished = first_few([name for name in names if UNFINISHED in name], 4)
    problem = f"no save in it is done{'; not done: ' * bool(unfinished)}{unfinished}"
    raise FormatError(folder.name, problem, "take another checkpoint, or save again")


def _unfinished(folder: FolderBelow) -> FormatError:
    """Return the error for a folder whose name says that the save into it is not done."""
    return FormatError(
        folder.name,
        "its save is not done, as its name says",
        f"take another checkpoint, or, if you know that all of it is there, rename it to "
        f"{folder.last.partition(UNFINISHED)[0]!r}",
    )


def _steps(folder: FolderBelow, names: list[str]) -> list[str]:
    """Return the folders of steps that are done, in the order of the numbers they end in."""
    found = [(int(match[1]), name) for name in names if (match := _STEP.fullmatch(name))]
    numbered = [name for _, name in sorted(found)[-_MOST_LOOKS:]]
    return [name for name in numbered if _is_step(folder.below(name))]


def _is_step(folder: FolderBelow) -> bool:
    return any(map(folder.has, _MARKS)) or _are_items(folder, folder.folders())


def _are_items(folder: FolderBelow, names: list[str]) -> bool:
    """Return whether a folder without marks holds items, as those that older ones wrote do."""
    known = "default" in names or _STEP.fullmatch(folder.last)
    return bool(known) and any(folder.below(name).has(METADATA) for name in names[:_MOST_LOOKS])


def _items(folder: FolderBelow, names: list[str]) -> dict[str, FolderBelow]:
    if folder.has(METADATA):
        return {"": folder}
    if unfinished := [name for name in names if UNFINISHED in name]:
        problem = f"the save of {first_few(unfinished, 4)} in it is not done"
        raise FormatError(folder.name, problem, "take another checkpoint, or save again")
    places = {name: folder.below(name) for name in names}
    found = {name: place for name, place in places.items() if place.has(METADATA)}
    if not found:
        raise _without_tree(folder, [folder, *places.values()])
    return found


def _without_tree(folder: FolderBelow, places: list[FolderBelow]) -> FormatError:
    if any(place.has("checkpoint") for place in places):
        return FormatError(
            folder.name,
            f"it is a checkpoint of an Orbax that wrote no {METADATA} yet",
            "restore it with orbax.checkpoint and save it again",
        )
    return FormatError(
        folder.name,
        f"it is an Orbax checkpoint without {METADATA}, the list of its arrays, which is written "
        f"last",
        "get all files of the folder again, or take another checkpoint",
    )
