"""Models whose leaves are slow to give their bytes, and processes that save them at once.

test_overlapping_saves.py takes the models, and runs this in a process of its own, which can fork.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.catalog import formats
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import Format
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

SAVERS, ROUNDS = 8, 3
NEVER_REPLACED = {"npy folder", "orbax"}  # no system puts a folder in another's place in one step


class Slow(BytesBacking):
    """Bytes that call a function before they are read."""

    def __init__(self, data: bytes, wait: Callable[[], object]) -> None:
        super().__init__(data)
        self.wait = wait

    def view(self, start: int, count: int) -> memoryview:
        self.wait()
        return super().view(start, count)

    def read(self, start: int, count: int) -> bytes:
        self.wait()
        return super().read(start, count)


def at_once() -> None:
    """Wait for nothing."""


def model(number: int, wait: Callable[[], object]) -> dict[str, Any]:
    """Return a model that differs from all others in its keys, its shapes and its values."""
    found = {}
    for n in range(2 + number % 3):
        array = np.full((10, 8 + number), number, np.float32)
        source = Source("slow", Slow(array.tobytes(), wait), 0, array.nbytes)
        found[f"layers.{n}.w"] = LazyTensor(source, 0, DTYPES["float32"], array.shape)
    return found


def save(format: Format, path: str, number: int, wait: Callable[[], object]) -> None:
    """Save the model with this number; one in four is one file where others are shards."""
    size = 9000 if number % 4 == 3 else 600
    options = {"max_shard_size": size} if format.name == "sharded" else {}
    write_state_dict(model(number, wait), path, format=format, **options)


def found_at(path: str) -> int:
    """Return the number of the model there; AssertionError unless it is one of them, whole."""
    with read_state_dict(path) as read:
        arrays = {key: leaf.numpy() for key, leaf in read.items()}
    number = int(arrays["layers.0.w"][0, 0])
    expected = model(number, at_once)
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(array, expected[key].numpy()) for key, array in arrays.items())
    return number


def target_in(format: Format, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    suffix = format.suffixes[0] if format.name != "sharded" else "/"
    return f"{folder}/model{suffix}" + "/" * (format.many and not suffix.endswith("/"))


def files_below(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def assert_whole(format: Format, folder: Path) -> int:
    """Return the number of the model in a folder, which holds as many files as it ever needs."""
    number = found_at(target_in(format, folder))
    clean = folder.with_name(f"{folder.name}-clean")
    save(format, target_in(format, clean), number, at_once)
    assert files_below(folder) == files_below(clean)
    return number


def main() -> None:
    """Fork savers that start at one moment; write how many could save in each round."""
    name, place = sys.argv[1:]
    format = next(each for each in formats() if each.name == name)
    saved = []
    for turn in range(ROUNDS):
        folder = Path(place, str(turn))
        target = target_in(format, folder)
        start = time.monotonic() + 0.1
        children = [fork(format, target, number, start) for number in range(SAVERS)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) <= {0, 3}, codes
        assert codes[assert_whole(format, folder)] == 0
        saved.append(codes.count(0))
    json.dump(saved, sys.stdout)


def fork(format: Format, target: str, number: int, start: float) -> int:
    """Save in a child, which ends with 0, or with 3 if it was refused."""
    if child := os.fork():
        return child
    try:
        chance = random.Random(number)
        time.sleep(max(start - time.monotonic(), 0))
        save(format, target, number, lambda: time.sleep(chance.random() / 100))
    except CatenError:
        os._exit(3)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
