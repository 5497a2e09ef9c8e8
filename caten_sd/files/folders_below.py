"""Find the folder with the checkpoint below one that common libraries write around it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from caten_sd.errors import FormatError
from caten_sd.files.folder_entry import is_candidate
from caten_sd.state.quoting import LONGEST, is_shell_word, shell_path
from caten_sd.state.source import Folder
from caten_sd.wording import counted, first_few

_DEPTH = 3  # levels that are searched
_MOST_FOLDERS, _MOST_ENTRIES = 200, 2000  # that are searched, and that each may have
_COMMITS = (".metadata", "_CHECKPOINT_METADATA", "_METADATA")  # of DCP and of Orbax
_FLAVOR = re.compile(r"^  (\w+):", re.MULTILINE)


def meant_folder(path: Path, suffixes: Callable[[], Sequence[str]]) -> Path:
    """Return the one folder below ``path`` that its library would open, or ``path`` itself.

    These are the snapshot of ``refs/main`` in a cache of Hugging Face, the data of an MLflow model
    for torch, and the step that DeepSpeed's file ``latest`` names.
    """
    if not os.path.isdir(path):
        return path
    snapshots = path / "snapshots"
    if snapshots.is_dir():
        chosen = _named_in(path / "refs" / "main", snapshots)
        there = [each for each in _folders(snapshots)[:2] if not chosen]
        return chosen or (there[0] if len(there) == 1 else path)
    for file, below in (("MLmodel", _mlflow_data), ("latest", _named_in)):
        if (path / file).is_file() and not _has_checkpoint(path, suffixes()):
            return below(path / file, path) or path
    return path


def no_checkpoint(folder: Folder, suffixes: Sequence[str], known: str) -> FormatError:
    """Return the error for a folder without a checkpoint: it names those below it."""
    there = first_few(folder.names(), 8) or "nothing"
    problem = f"no file in it makes it a checkpoint; it holds {there}"
    if folder.kind != "folder":
        return FormatError(folder.name, problem, f"known are {known}")
    if found := _checkpoints_below(folder.path, suffixes):
        places = [str(each.relative_to(folder.path)) for each in found]
        below = counted(len(found), "folder below it has", "folders below it have")
        problem = f"no file in it makes it a checkpoint; {below} one: {first_few(places, 8)}"
        return FormatError(folder.name, problem, _line(found))
    if flavors := _flavors(folder.path):
        problem += f"; it is an MLflow model for {flavors}"
        return FormatError(folder.name, problem, "load it with mlflow")
    return FormatError(folder.name, problem, f"known are {known}")


def _line(found: Sequence[Path]) -> str:
    path = str(found[-1] if found[-1].name[-1:].isdigit() else found[0])
    if not is_shell_word(path) or len(path) > LONGEST:
        return "open one of them by its own path"
    return f"open one of them by its own path: caten-sd show {shell_path(path)}"


def _checkpoints_below(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the folders with a checkpoint, those of the highest levels; links are not followed."""
    found, level = [], [path]
    for _ in range(_DEPTH):
        level = [below for each in level for below in _folders(each)][:_MOST_FOLDERS]
        holding = [each for each in level if _has_checkpoint(each, suffixes)]
        found += holding
        level = [each for each in level if each not in holding]
    return found


def _has_checkpoint(path: Path, suffixes: Sequence[str]) -> bool:
    names = (entry.name for entry in _entries(path) if not entry.is_dir())
    return any(name in _COMMITS or is_candidate(name, suffixes) for name in names)


def _folders(path: Path) -> list[Path]:
    entries = [entry.name for entry in _entries(path) if entry.is_dir(follow_symlinks=False)]
    return [path / name for name in sorted(entries, key=_by_numbers) if name[:1] != "."]


def _entries(path: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return list(islice(entries, _MOST_ENTRIES))
    return []


def _by_numbers(name: str) -> list[tuple[int, str]]:
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _named_in(file: Path, parent: Path) -> Path | None:
    """Return the folder in ``parent`` that a small text file names, if it is one of its own."""
    name = _text(file, 256).strip()
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        return None
    return parent / name if (parent / name).is_dir() else None


def _mlflow_data(file: Path, parent: Path) -> Path | None:
    """Return the folder with the data of an MLflow model; None for other flavors than torch's."""
    if "pytorch" not in _flavors(parent) and "transformers" not in _flavors(parent):
        return None
    there = [parent / name for name in ("data", "model") if (parent / name).is_dir()]
    return there[0] if len(there) == 1 else None


def _flavors(path: Path) -> str:
    """Return the flavors that an MLmodel file names, python_function aside."""
    listed = re.search(r"^flavors:\n((?: .*\n?)*)", _text(path / "MLmodel", 1 << 16), re.MULTILINE)
    names = _FLAVOR.findall(listed[1]) if listed else []
    return ", ".join(name[:40] for name in names[:8] if name != "python_function")


def _text(path: Path, most: int) -> str:
    with contextlib.suppress(OSError):
        if path.is_file():  # not a pipe, which would wait
            with path.open("rb") as file:
                return file.read(most).decode("utf-8", "replace")
    return ""
