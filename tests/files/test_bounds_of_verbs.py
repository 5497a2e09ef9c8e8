"""Every verb stays within the limits of a child process, and takes time in proportion to a file."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

import caten_sd as sd
from caten_sd.cli.show import run as show
from tests.files.test_bounds import (
    ARRAY,
    CROWDED,
    FILES,
    PROTOCOL,
    ROW,
    beside_an_array,
    cpu_seconds,
    dcp_with,
    flax,
    header,
    in_child,
    text,
)


def shown(path: Path, *options: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        show([str(path), *options])


VERBS: dict[str, Callable[[Path], Any]] = {
    "show": shown,
    "show --json": lambda path: shown(path, "--json"),
    "digest": lambda path: sd.digest(sd.read_state_dict(path)),
    "convert": lambda path: sd.convert(path, path.with_name("made.npz")),
}
DAILY = ("show", "convert")
SOME = ["lists.pkl", "tuples.pkl", "none.pkl", "numbers.msgpack", "record.safetensors"]
GIVEN = {**FILES, **{name: CROWDED[name] for name in SOME}}


@pytest.mark.parametrize(
    "verb",
    [each if each in DAILY else pytest.param(each, marks=pytest.mark.slow) for each in VERBS],
)
@pytest.mark.parametrize("file", GIVEN)
def test_a_verb_stays_within_its_limits(file: str, verb: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(GIVEN[file])
    if path.name == ".metadata":
        (path.parent / "__0_0.distcp").touch()
        path = path.parent
    said = in_child(lambda: str(VERBS[verb](path)))
    assert not said.startswith(("foreign", "ended")), said
    assert "\n" not in said or not said.startswith("refused")


def tensors(n: int) -> bytes:
    entry = {"dtype": "U8", "shape": [1]}
    entries = {f"l.{i}.w": {**entry, "data_offsets": [i, i + 1]} for i in range(n)}
    return header(entries, bytes(n))


def nested(n: int) -> bytes:
    """Return a pickle of n dicts, each in a list of its own."""
    rows = b"".join(b"](}" + text(f"k{i}") + b"K\1se" for i in range(n))
    return beside_an_array(rows)


def repeated(n: int) -> bytes:
    """Return a pickle whose list of n numbers is met n times."""
    return beside_an_array(b"](" + b"K\1" * n + b"eq\1" + b"h\1" * n)


GROWING: dict[str, tuple[Callable[[int], bytes], int]] = {
    "tensors.safetensors": (tensors, 20_000),
    "nested.pkl": (nested, 10_000),
    "repeated.pkl": (repeated, 20_000),
    "pairs.pkl": (lambda n: beside_an_array(b"K\1K\2\x86" * n), 100_000),
    "none.pkl": (lambda n: beside_an_array(b"N" * n), 400_000),
    "keys.pkl": (
        lambda n: PROTOCOL + b"}(" + text("w") + ARRAY
        + b"".join(text(f"k{i}") + b"N" for i in range(n)) + b"u.",
        40_000,
    ),
    "memo.pkl": (
        lambda n: beside_an_array(
            b"N" + b"".join(b"r" + struct.pack("<I", 2 * i) for i in range(n))
        ),
        40_000,
    ),
    "arrays.msgpack": (lambda n: msgpack.packb({f"k{i}": flax(ROW) for i in range(n)}), 5_000),
    "lists.msgpack": (lambda n: msgpack.packb({"w": flax(ROW), "a": [[1]] * n}), 40_000),
    "numbers.msgpack": (lambda n: msgpack.packb({"w": flax(ROW), "a": [1] * n}), 400_000),
    "paths/.metadata": (
        lambda n: dcp_with(
            b"}(" + b"".join(text(f"k{i}") + text("a") + b"\x85" for i in range(n)) + b"u"
        ),
        20_000,
    ),
    "model.safetensors.index.json": (
        lambda n: json.dumps({"weight_map": {f"k{i}": f"s{i}" for i in range(n)}}).encode(),
        5_000,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("file", GROWING)
def test_time_grows_with_the_size_and_no_faster(file: str, tmp_path: Path) -> None:
    made, n = GROWING[file]
    paths = []
    for times in (1, 2, 4):
        path = tmp_path / str(times) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made(times * n))
        if path.name == ".metadata":
            (path.parent / "__0_0.distcp").touch()
            path = path.parent
        paths.append(path)
    best = [99.0] * len(paths)
    for _ in range(5):  # other work of the machine may slow one run down, and none is faster
        best = [min(old, seconds_to_read(path)) for old, path in zip(best, paths, strict=True)]
        if all(more <= 2.6 * less + 0.03 for less, more in itertools.pairwise(best)):
            return
    raise AssertionError(f"{best} s: twice the size takes 2 times as long, and quadratic work 4")


def seconds_to_read(path: Path) -> float:
    """Return the CPU time of a child that opens a file, or is told why it cannot."""

    def measured() -> str:
        before = cpu_seconds()
        with contextlib.suppress(sd.CatenError):
            sd.read_state_dict(path)
        return str(cpu_seconds() - before)

    return float(in_child(measured))
