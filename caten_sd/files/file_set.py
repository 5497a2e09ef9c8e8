"""A checkpoint of several files is replaced whole or not at all, too."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from caten_sd.errors import FormatError
from caten_sd.files.atomic import MARK, replacing, sync_folder


class FileSet:
    """New files beside those that are live, and one file, written last, that says which count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[Path] = []

    def names(self) -> list[str]:
        """Return the names in the folder, sorted."""
        return sorted(os.listdir(self.folder))

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """Yield a new file, which must have a name of its own; it is gone if the set fails."""
        path = self.folder / name
        try:
            with path.open("xb", buffering=1 << 20) as file:
                self._made.append(path)
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FormatError(path, f"it cannot be written ({error})", "check the disk") from error

    @contextlib.contextmanager
    def commit(self, name: str) -> Iterator[BinaryIO]:
        """Yield the file that, once in place, makes the new set the live one."""
        with replacing(self.folder / name) as file:
            yield file
        self._made.clear()

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files of the old set; one that is open elsewhere stays until the next save."""
        for name in names:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()

    def discard(self) -> None:
        """Remove what was written and never committed."""
        self.remove(path.name for path in self._made)


@contextlib.contextmanager
def file_set(folder: Path) -> Iterator[FileSet]:
    """Yield the set of files to write in a folder, made if absent; a failure leaves none."""
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(folder, f"it cannot be made ({error})", "check the path") from error
    files = FileSet(folder)
    try:
        yield files
    except BaseException:
        files.discard()
        if fresh:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[FileSet]:
    """Yield the files of a folder that appears at ``path`` whole; nothing may be there yet.

    FormatError if something is: no system puts one folder in another's place in one step.
    """
    if path.exists() and not (path.is_dir() and not os.listdir(path)):
        raise FormatError(
            path,
            "there is something already, and a folder cannot be replaced in one step",
            "choose a new path, or remove it first",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.*{MARK}"):
            shutil.rmtree(stale, ignore_errors=True)
        working = Path(tempfile.mkdtemp(MARK, f".{path.name}.", path.parent))
    except OSError as error:
        raise FormatError(path, f"it cannot be written ({error})", "check the folder") from error
    try:
        yield FileSet(working)
        working.chmod(0o755)
        working.rename(path)
    except OSError as error:
        raise FormatError(path, f"it cannot be written ({error})", "check the disk") from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    sync_folder(path.parent)
