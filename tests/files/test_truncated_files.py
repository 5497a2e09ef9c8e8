"""Files that are cut off, overwritten or replaced while a verb opens them or copies from them.

Each verb runs in a process of its own: who touches a map of a file that was cut off ends the
process.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.numpy

from caten_sd import (
    convert,
    digest,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    write_state_dict,
)
from caten_sd.cli.show import run as show
from caten_sd.state.backing import FileBacking
from caten_sd.state.compare import same_values
from tests.files.test_bounds import in_child

# Each leaf has two pieces.
VALUES = {f"layer.{n}": numpy.full((512, 1024), n, "float32") for n in range(3)}
OPTIONS: dict[str, dict[str, Any]] = {
    "a.safetensors": {},
    "a.npz": {},
    "a.msgpack": {},
    "a.gguf": {},
    "a.pt": {},
    "legacy.pt": {},
    "a.pkl": {},
    "packed.npz": {},
    "a.zip": {},
    "packed.zip": {},
    "a.tar": {},
    "a.tar.gz": {},
    "a.dcp/": {},
    "a.npy/": {},
    "shards/": {"max_shard_size": "5MB"},
}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")


def saved(tmp_path: Path, target: str) -> Path:
    path = tmp_path / target
    shutil.rmtree(path, ignore_errors=True)
    if target in WRITERS:
        WRITERS[target](path)
    else:
        end = "/" * target.endswith("/")
        write_state_dict(get_state_dict(VALUES), f"{path}{end}", **OPTIONS[target])
    return path


def legacy(path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(value) for key, value in VALUES.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def zipped(path: Path, compression: int) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.safetensors", safetensors.numpy.save(VALUES))


def tarred(path: Path, mode: Any) -> None:
    data = safetensors.numpy.save(VALUES)
    with tarfile.open(path, mode) as archive:
        member = tarfile.TarInfo("a.safetensors")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "legacy.pt": legacy,
    "a.pkl": lambda path: path.write_bytes(pickle.dumps(VALUES)),
    "packed.npz": lambda path: numpy.savez_compressed(path, **VALUES),
    "a.zip": lambda path: zipped(path, zipfile.ZIP_STORED),
    "packed.zip": lambda path: zipped(path, zipfile.ZIP_DEFLATED),
    "a.tar": lambda path: tarred(path, "w"),
    "a.tar.gz": lambda path: tarred(path, "w:gz"),
}


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]


def truncate(path: Path) -> None:
    for file in files(path):
        os.truncate(file, 10)


def halve(path: Path) -> None:
    for file in files(path):
        os.truncate(file, file.stat().st_size // 2)


def overwrite(path: Path) -> None:
    for file in files(path):
        file.write_bytes(bytes(file.stat().st_size))
        os.utime(file, ns=(1, 1))


def replace(path: Path) -> None:
    """Put other values in place of the file, as who saves atomically does."""
    for file in files(path):
        other = file.with_name("other")
        other.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()[:99]) + bytes(9))
        os.truncate(other, file.stat().st_size)
        os.replace(other, file)


def replace_with_less(path: Path) -> None:
    for file in files(path):
        file.with_name("other").write_bytes(b"less")
        os.replace(file.with_name("other"), file)


def loaded(path: Path, dtype: str = "float32") -> None:
    model = {key: numpy.zeros(value.shape, dtype) for key, value in VALUES.items()}
    load_state_dict(model, read_state_dict(path), silent=True)


def shown(path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        show([str(path), "--all"])


def compared(path: Path) -> None:
    found = read_state_dict(path)
    assert all(same_values(leaf, VALUES[key]) for key, leaf in found.items())


VERBS: dict[str, Callable[[Path], Any]] = {
    "read": read_state_dict,
    "compare": compared,
    "digest": lambda path: digest(read_state_dict(path)),
    "convert": lambda path: convert(path, path.parent / "made.safetensors"),
    "convert and cast": lambda path: convert(path, path.parent / "made.npz", dtype="bf16"),
    "load": loaded,
    "load and cast": lambda path: loaded(path, "float64"),
    "check values": lambda path: plan_load(VALUES, read_state_dict(path), check_values=True),
    "show": shown,
}


CHANGES = [truncate, halve, overwrite, replace, replace_with_less]


ARCHIVES = ["packed.npz", "a.zip", "packed.zip", "a.tar", "a.tar.gz"]
CASES = [
    (target, verb)
    for target in OPTIONS
    for verb in (["read", "digest", "convert", "load"] if target in ARCHIVES else VERBS)
]


DAILY = ("load", "read")
SEVERAL_FILES = ("shards/", "a.dcp/", "a.npy/", "a.tar.gz", "packed.zip")


def marked(target: str, verb: str) -> Any:
    """Return a case, slow if it is of many files or of a verb that copies as others do."""
    slow = target in SEVERAL_FILES or verb not in DAILY
    return pytest.param(target, verb, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("target", "verb"), [marked(*case) for case in CASES])
def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, target: str, verb: str) -> None:
    path = saved(tmp_path, target)
    counted = int(in_child(lambda: accesses(path, verb)))
    times = [1, counted // 2, max(counted - 1, 1), 2, counted // 2]
    for change, after in zip(CHANGES, times, strict=True):
        for made in tmp_path.glob("made.*"):
            made.unlink()
        path = saved(tmp_path, target)
        said = in_child(partial(changing, path, verb, change, after))
        assert said == "done" or said.startswith("refused: "), (change, after, said)
        assert said == "done" or not list(tmp_path.glob("made.*"))


def changing(path: Path, verb: str, change: Callable[[Path], None], after: int) -> str:
    """Change the file as soon as the verb has read or mapped ``after`` parts of it."""
    accesses(path, verb, lambda count: change(path) if count == after else None)
    return "done"


def accesses(path: Path, verb: str, seen: Callable[[int], None] = lambda count: None) -> str:
    """Return how often a verb reads or maps a part of the file; ``seen`` is called each time."""
    count = 0

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def access(*args: Any) -> Any:
            nonlocal count
            found = original(*args)
            count += 1
            seen(count)
            return found

        return access

    for name in ("read", "read_into", "view"):
        setattr(FileBacking, name, counting(getattr(FileBacking, name)))
    VERBS[verb](path)
    return str(count)
