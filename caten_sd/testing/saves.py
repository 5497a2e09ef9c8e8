"""Clauses on a save: it is whole or not done, the same each time, and of any source."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.format import write
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.state_dict import StateDict
from caten_sd.testing.clause import clause
from caten_sd.testing.samples import UnreadableLeaf, small_model
from caten_sd.testing.subject import KEY, Subject, require, require_equal

_OTHER = {"only": np.ones(3, "f4"), "h.0.mlp.w": np.zeros((6, 4), "f4")}


@clause
def same_bytes(subject: Subject, /) -> None:
    """Two saves of the same state dict have the same bytes."""
    first, second = subject.apart("first"), subject.apart("second")
    for here in (first, second):
        here.write(StateDict(small_model(), metadata={"a": "1", "b": "2"}))
    what = "the bytes of the second save are not those of the first"
    require(first.contents() == second.contents(), what)


@clause
def a_save_replaces_the_whole(subject: Subject, /) -> None:
    """A save takes the place of all that was there, or is refused and leaves it."""
    subject.write(small_model())
    before = subject.contents()
    if subject.refused(_OTHER) is None:
        require_equal(subject.arrays(), _OTHER)
    else:
        require(subject.contents() == before, "a refused save changes what was there")


@clause
def a_save_of_what_it_replaces(subject: Subject, /) -> None:
    """The leaves of a file can be written to the file itself, or that is refused."""
    given = small_model(5000)
    subject.write(given)
    with subject.opened() as found:
        subject.refused(dict(found))
        turned = {key: as_array(Numpy(), leaf)[::-1] for key, leaf in found.items()}
        refused = subject.refused(turned) is not None
    now = given if refused else {key: array[::-1] for key, array in given.items()}
    require_equal(subject.arrays(), now)


@clause
def a_failure_leaves_what_was_there(subject: Subject, /) -> None:
    """A save that fails or is interrupted at any leaf leaves the old files, and no other one."""
    for number, key in enumerate(small_model()):
        for error in (KeyboardInterrupt(), OSError(errno.EIO, "made to fail")):
            here = subject.apart(f"{number}-{type(error).__name__}")
            _fails_at(here.apart("new"), key, error)
            here.write(small_model())
            _fails_at(here, key, error)


def _fails_at(subject: Subject, key: str, error: BaseException) -> None:
    before = subject.contents()
    given: dict[str, Any] = {name: array + 1 for name, array in small_model().items()}
    given[key] = UnreadableLeaf(given[key].shape, error)
    try:
        subject.write(given)
    except (CatenError, OSError, KeyboardInterrupt):
        pass
    else:
        require(False, f"the error of the leaf {key!r} is lost")
    now = subject.contents()
    changed = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    what = f"{type(error).__name__} at {key!r} changes {', '.join(changed)}"
    require(not changed, what)


@clause(one_leaf=True)
def a_full_disk(subject: Subject, /) -> None:
    """A writer passes on the error of a disk that is full."""
    if subject.format.many:
        return  # it makes its files itself
    given = StateDict({KEY: np.zeros((300, 1000), "f4")})
    with _FullFile(subject.folder / "full") as file:
        try:
            write(subject.format, file, given)
            file.flush()
        except (CatenError, OSError):
            return
    require(False, "nothing is said")


class _FullFile(io.FileIO):
    """A file on a disk that takes a few bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self._left = 100_000

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        self._left -= count
        if self._left < 0:
            raise OSError(errno.ENOSPC, "no space is left on the device")
        return super().write(data)
