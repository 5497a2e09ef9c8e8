"""Changes to the bytes of a file, which know nothing of its format, and those that an author adds.

Each depends on a ``random.Random`` alone, so that the number of an input makes it again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

Mutator = Callable[[bytes, Random], bytes]

_SIZES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]
SIZES = [*_SIZES, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


class StructureError(Exception):
    """The file is too damaged by now for a change that keeps its structure."""


def flipped(data: bytes, random: Random) -> bytes:
    """Flip one bit."""
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def sized(data: bytes, random: Random) -> bytes:
    """Put a number that a size may have somewhere."""
    width = random.choice([1, 2, 4, 8])
    at = random.randrange(len(data) + 1)
    number = random.choice(SIZES) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, random.choice(["little", "big"])) + data[at + width :]


def cut(data: bytes, random: Random) -> bytes:
    """Leave out the end, or some bytes in the middle."""
    at = random.randrange(len(data) + 1)
    return data[:at] if random.random() < 0.5 else data[:at] + data[at + random.randrange(1, 20) :]


def spliced(data: bytes, random: Random) -> bytes:
    """Repeat some bytes somewhere else."""
    at, start = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    piece = data[start : start + random.randrange(1, 60)] * random.choice([1, 1, 3])
    return data[:at] + piece + data[at:]


def mutated(data: bytes, random: Random, mutators: Sequence[Mutator] = ()) -> bytes:
    """Return the bytes with one to four changes, also by the given mutators.

    >>> mutated(b"abcdefgh", Random(1)) == mutated(b"abcdefgh", Random(1)) != b"abcdefgh"
    True
    """
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        with contextlib.suppress(StructureError):
            change = random.choice([flipped, sized, cut, spliced, *mutators])
            data = change(data, random)
    return data


def damaged(seed: Path, target: Path, number: int, mutators: Sequence[Mutator] = ()) -> Path:
    """Write the input of this number: a file or folder with changes that the number decides."""
    random = Random(number)
    chosen = _chosen_file(_copied(seed, target), random)
    if target.is_dir() and random.random() < 0.1:
        chosen.unlink()
    else:
        data = chosen.read_bytes()
        chosen.unlink()
        chosen.write_bytes(mutated(data, random, mutators))
    return target


def _copied(seed: Path, target: Path) -> Path:
    _removed(target)
    return Path((shutil.copyfile if seed.is_file() else shutil.copytree)(seed, target))


def _removed(target: Path) -> None:
    """Remove what the last input left: ext4 flushes a file that is cut and written again."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def _chosen_file(place: Path, random: Random) -> Path:
    return place if place.is_file() else random.choice(files_of(place))


def files_of(place: Path) -> list[Path]:
    """Return the files of a folder, in order, or the file itself."""
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.is_file())


def replaced(seed: Path, target: Path, file: Path, data: bytes) -> Path:
    """Write a copy of a file or folder in which one file has other bytes."""
    _copied(seed, target)
    changed = target / file.relative_to(seed) if target.is_dir() else target
    changed.unlink()
    changed.write_bytes(data)
    return target
