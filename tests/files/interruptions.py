"""Interrupt a save at every step, and read what is left: the old model or the new one, whole.

test_interrupted_save.py runs this in a process of its own, once for each kind of target.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import gc
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files import atomic
from caten_sd.files.catalog import formats
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.synced_file import SyncedFile
from tests.files.overlaps import NEVER_REPLACED

SECONDS = 20  # for one save; more means that it waits for a lock that nobody gives back
CLOSE = {"atomic.py", "file_set.py", "leftovers.py", "locks.py", "new_folder.py", "synced_file.py"}
STRIDE = 41  # between the lines of all other modules
CALLS = (
    *("open", "replace", "rename", "fsync", "unlink", "chmod", "fchmod", "mkdir", "rmdir"),
    *("close", "stat", "lstat", "fstat", "scandir", "listdir"),
)
OLD = {f"layers.{n}.w": np.full((10, 10), n, np.float32) for n in range(2)}
NEW = {f"layers.{n}.w": np.full((10, 9), -n, np.float32) for n in range(3)}

Point = Callable[[], None]


class Case(NamedTuple):
    """A format, the name of its target, and how the old and the new model are cut into shards."""

    format: str
    name: str
    before: int
    after: int

    def save(self, folder: Path, state: Any, shard_size: int) -> None:
        options = {"max_shard_size": shard_size} if shard_size else {}
        signal.alarm(SECONDS)
        write_state_dict(state, f"{folder}/{self.name}", format=FORMATS[self.format], **options)
        signal.alarm(0)

    def found(self, folder: Path) -> str:
        """Return which model is there; AssertionError for anything else."""
        path = folder / self.name
        if not path.exists():
            return "nothing"
        with read_state_dict(path) as read:
            arrays = {key: leaf.numpy() for key, leaf in read.items()}
            for name, state in (("old", OLD), ("new", NEW)):
                if arrays.keys() == state.keys() and all(
                    np.array_equal(arrays[key], array) for key, array in state.items()
                ):
                    return name
        raise AssertionError(f"neither model is there: {list(arrays)}")


FORMATS = {each.name: each for each in formats()}


class Interruption:
    """Something that goes wrong at the step with a number, before or after it."""

    def __init__(self, number: int, error: BaseException | None) -> None:
        self.number, self.error, self.steps = number, error, 0

    def step(self) -> None:
        """Count a step; raise at the one that was asked for, once."""
        self.steps += 1
        if self.steps == self.number and self.error is not None:
            raise self.error


@contextlib.contextmanager
def at_lines(interruption: Interruption) -> Iterator[None]:
    """Take each line that the library runs as a step, and those of the contexts it makes."""
    skipped = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal skipped
        name = frame.f_code.co_filename
        if event == "line":
            skipped += 1
            if os.path.basename(name) in CLOSE or skipped % STRIDE == 0:
                interruption.step()
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return line if "caten_sd" in name or name.endswith("contextlib.py") else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def at_calls(interruption: Interruption) -> Iterator[None]:
    """Take each call to the system as two steps: before it, and after it is done."""

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            interruption.step()
            done = function(*arguments, **options)
            interruption.step()
            return done

        return call

    class CountedFile(SyncedFile):
        """A file whose writes are steps, too."""

        write = counted(SyncedFile.write)
        flush = counted(SyncedFile.flush)

    kept = {name: getattr(os, name) for name in CALLS}
    flock = fcntl.flock
    try:
        for name, function in kept.items():
            setattr(os, name, counted(function))
        fcntl.flock = counted(flock)
        atomic.SyncedFile = CountedFile
        yield
    finally:
        for name, function in kept.items():
            setattr(os, name, function)
        fcntl.flock = flock
        atomic.SyncedFile = SyncedFile


def interrupted(case: Case, folder: Path, way: Any, interruption: Interruption) -> str:
    """Save with an interruption, and return which model is there then."""
    try:
        with way(interruption):
            case.save(folder, NEW, case.after)
    except (CatenError, KeyboardInterrupt) as error:
        error.__traceback__ = None  # whose frames hold what the save had opened
    else:
        assert case.found(folder) == "new", "the save returned without an error"
    signal.alarm(0)
    interruption.error = None
    gc.collect()
    return case.found(folder)


def saves_again(case: Case, folder: Path, found: str) -> list[str]:
    """Save once more; return the files that are then there, without the numbers in their names."""
    if found == "nothing" or case.format not in NEVER_REPLACED:
        case.save(folder, NEW, case.after)
        assert case.found(folder) == "new"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return [re.sub("-g[0-9]+|[0-9]", "", name) for name in names]


def steps(case: Case, folder: Path, way: Any) -> int:
    """Return how many steps a save has that nothing interrupts."""
    counting = Interruption(0, None)
    with way(counting):
        case.save(folder, NEW, case.after)
    return counting.steps


def report(case: Case, way: Any, errors: list[Callable[[], BaseException]]) -> dict[str, Any]:
    """Interrupt at every step with every error; return how often which model was left."""
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as place:
        template = Path(place, "template")
        template.mkdir()
        if case.format not in NEVER_REPLACED:
            case.save(template, OLD, case.before)

        def fresh(number: object) -> Path:
            return Path(shutil.copytree(template, Path(place, str(number))))

        steps(case, fresh("warm"), way)  # imports and caches take steps, too
        total = steps(case, counted := fresh("counted"), way)
        clean = saves_again(case, counted, "new")
        for make in errors:
            for number in range(1, total + 1):
                folder = fresh("now")
                found = interrupted(case, folder, way, Interruption(number, make()))
                left = saves_again(case, folder, found)
                name = f"{make().__class__.__name__} at step {number} of {total}, {found} left"
                assert left == clean, f"{name}: then {left} and not {clean}"
                counts[found] = counts.get(found, 0) + 1
                shutil.rmtree(folder)
    return counts


def main() -> None:
    """Run one case in both ways; at a line nothing but a KeyboardInterrupt can come."""
    case = Case(**json.loads(sys.argv[1]))
    os.fsync = lambda handle: None  # nothing here ends the system
    sys.unraisablehook = lambda raised: None  # an interruption of a destructor
    failing: list[Callable[[], BaseException]] = [lambda: OSError(errno.EIO, "made to fail")]
    ways = {
        "lines": (at_lines, [KeyboardInterrupt]),
        "calls": (at_calls, [KeyboardInterrupt, *failing]),
    }
    json.dump({name: report(case, *way) for name, way in ways.items()}, sys.stdout)


if __name__ == "__main__":
    main()
