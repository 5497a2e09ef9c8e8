"""Clauses on files that are damaged, or made to deceive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.testing.clause import clause
from caten_sd.testing.damage import SIZES, damaged, files_of, replaced
from caten_sd.testing.subject import BrokenClauseError, Subject, copies, require
from caten_sd.testing.trials import Arrays, tried
from caten_sd.testing.within_limits import Say, in_child, processor_limited

_EVERY_LENGTH = 1500  # bytes of a file that is cut at each length
_LENGTHS = 150  # at which a larger one is cut
_HEADER = 400  # bytes at the beginning, in which sizes are claimed
_NOISES = 40  # files of random bytes
_CLAIMS = SIZES[-8:]

Input = tuple[str, Callable[[], Path]]  # what an input is, and what writes it


@clause(one_leaf=True, unwritten=True, hostile=True)
def truncation(subject: Subject, /) -> None:
    """A file that ends too soon is refused in one sentence, wherever it ends."""
    for seed in subject.sound():
        known = tried(seed, subject.format)
        require(not known.problem, f"{seed.name}, which is sound: {known.problem}")
        expected = known.result
        if isinstance(expected, BaseException):
            raise BrokenClauseError(f"{seed.name}, which is sound: {expected}")
        require(bool(expected), f"{seed.name}, which is sound, has no tensor")
        _try_all(_cuts(seed, subject.folder / f"cut-{seed.name}"), seed, subject, expected)


def _cuts(seed: Path, target: Path) -> Iterator[Input]:
    for file in files_of(seed):
        size = file.stat().st_size
        step = 1 if size <= _EVERY_LENGTH else size // _LENGTHS
        for length in (*range(0, size, step), size - 1):
            data = file.read_bytes()[:length]
            what = f"{file.name}, cut to {length} of {size} bytes"
            yield what, partial(replaced, seed, target, file, data)


@clause(one_leaf=True, unwritten=True, hostile=True)
def random_damage(subject: Subject, /) -> None:
    """Flipped bits, other sizes, lost and repeated bytes lead to leaves or to one sentence."""
    seeds = list(subject.sound())
    for at, seed in enumerate(seeds):
        numbers = range(at, subject.inputs, len(seeds))
        target = subject.folder / f"damaged-{seed.name}"
        inputs = (
            (
                f"{seed.name}, changed by the number {number}",
                partial(damaged, seed, target, number, subject.mutators),
            )
            for number in numbers
        )
        _try_all(inputs, seed, subject)


@clause(one_leaf=True, unwritten=True, hostile=True)
def claimed_sizes(subject: Subject, /) -> None:
    """A size that a header merely claims takes no memory and no time."""
    for seed in subject.sound():
        claims = _claims(seed, subject.folder / f"sized-{seed.name}")
        _try_all(claims, seed, subject)


def _claims(seed: Path, target: Path) -> Iterator[Input]:
    """Yield the file with a large number at each place near its beginning."""
    for file in files_of(seed):
        data = file.read_bytes()
        for at in range(min(len(data), _HEADER)):
            width = (4, 8)[at // len(_CLAIMS) % 2]
            number = (_CLAIMS[at % len(_CLAIMS)] % (1 << 8 * width)).to_bytes(width, "little")
            what = f"{file.name} with {number.hex()} at byte {at}"
            changed = data[:at] + number + data[at + width :]
            yield what, partial(replaced, seed, target, file, changed)


@clause(one_leaf=True, unwritten=True, hostile=True)
def noise(subject: Subject, /) -> None:
    """Random bytes, and random bytes after the right beginning, lead to one sentence."""
    for seed in subject.sound():
        _try_all(_noises(seed, subject.folder / f"noise-{seed.name}"), seed, subject)


def _noises(seed: Path, target: Path) -> Iterator[Input]:
    for file in files_of(seed):
        for number in range(_NOISES):
            random = Random(number)
            data = random.randbytes(random.choice([0, 1, 7, 8, 9, 64, 1000]))
            head = file.read_bytes()[: random.choice([0, 2, 4, 6, 8, 10, 16, 64])]
            what = f"{len(head)} bytes of {file.name} and {len(data)} random ones"
            yield what, partial(replaced, seed, target, file, head + data)


def _try_all(
    inputs: Iterable[Input], seed: Path, subject: Subject, expected: Arrays | None = None
) -> None:
    """Read all inputs in a child; BrokenClauseError names the first with a finding.

    If arrays are expected, no others may be read.
    """

    def work(say: Say) -> str:
        for what, make in inputs:
            say(what)
            made = tried(make(), subject.format)
            problem = made.problem or ("" if expected is None else made.change(expected))
            if problem:
                return f"{what}: {problem}"
        return ""

    problem = in_child(work, _size(seed))
    require(not problem, problem)


@clause(lazy=True, one_leaf=True, unwritten=True, hostile=True)
def files_that_change(subject: Subject, /) -> None:
    """A leaf of a file that is cut off or overwritten while it is open is not read otherwise."""
    changes = {"cut off": _cut_off, "overwritten": _overwritten}
    for (number, seed), kind in product(enumerate(subject.sound()), changes):
        path = subject.folder / f"{kind}-{number}{seed.suffix}"
        problem = in_child(partial(_reads_after, seed, path, changes[kind]), _size(seed))
        require(not problem, f"{seed.name}, {kind} while it is open: {problem}")


def _cut_off(file: Path) -> None:
    os.truncate(file, 0)


def _overwritten(file: Path) -> None:
    file.write_bytes(b"\x55" * file.stat().st_size)
    os.utime(file, ns=(1, 1))


def _reads_after(seed: Path, path: Path, change: Callable[[Path], None], say: Say) -> str:
    """Return what is wrong with leaves that are read after a change; the old values are not."""
    (shutil.copytree if seed.is_dir() else shutil.copyfile)(seed, path)
    with read_state_dict(seed, root="") as sound:
        expected = copies(sound)
    say("a leaf is read")
    with processor_limited(), read_state_dict(path, root="") as found:
        for file in files_of(path):
            change(file)
        for key, leaf in found.items():
            try:
                array = np.array(as_array(Numpy(), leaf))
            except CatenError:
                continue
            if array.tobytes() != expected[key].tobytes():
                return f"{key!r} is read without an error, with other values"
    return ""


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in files_of(place))
