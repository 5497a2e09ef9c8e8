"""A checkpoint that is a folder without an index appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from caten_sd.errors import FormatError
from caten_sd.files.atomic import before_rename, sync_folder, unwritable
from caten_sd.files.file_set import FileSet
from caten_sd.files.leftovers import hidden_name, sweep
from caten_sd.files.locks import FolderLock

_FILLED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[FileSet]:
    """Yield the files of a folder that appears at ``path`` whole; nothing may be there yet.

    FormatError if something is: no system puts one folder in another's place in one step.
    """
    try:
        target = Path(os.path.realpath(path))  # of a link, where it leads
        if os.path.lexists(target) and not (target.is_dir() and not os.listdir(target)):
            raise _taken(path, "there is something already")
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        with contextlib.ExitStack() as cleanup:
            working = hidden_name(target)
            cleanup.callback(partial(shutil.rmtree, working, ignore_errors=True))
            cleanup.enter_context(FolderLock(working))
            if target.is_dir():
                working.chmod(stat.S_IMODE(target.stat().st_mode))
            files = FileSet(path, place=working)
            yield files
            for each in (*files.folders, working):
                sync_folder(each)
            before_rename(working, path)
            os.rename(working, target)
    except OSError as error:
        if error.errno in _FILLED and os.path.lexists(target):
            raise _taken(path, "another save was done first") from error
        raise unwritable(path, error) from error
    sync_folder(target.parent)


def _taken(path: Path, what: str) -> FormatError:
    return FormatError(
        path,
        f"{what}, and a folder cannot be replaced in one step",
        "choose a new path, or remove it first",
    )
