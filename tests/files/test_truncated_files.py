"""Files that are cut off or overwritten while a verb copies from them.

Each verb runs in a process of its own: who touches a map of a file that was cut off ends the
process.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest

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
    "a.dcp/": {},
    "a.npy/": {},
    "shards/": {"max_shard_size": "5MB"},
}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")


def saved(tmp_path: Path, target: str) -> Path:
    path = tmp_path / target
    shutil.rmtree(path, ignore_errors=True)
    if target == "legacy.pt":
        torch = pytest.importorskip("torch")
        tensors = {key: torch.from_numpy(value) for key, value in VALUES.items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    else:
        end = "/" * target.endswith("/")
        write_state_dict(get_state_dict(VALUES), f"{path}{end}", **OPTIONS[target])
    return path


def truncate(path: Path) -> None:
    for file in [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]:
        os.truncate(file, 10)


def overwrite(path: Path) -> None:
    for file in [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]:
        file.write_bytes(bytes(file.stat().st_size))
        os.utime(file, ns=(1, 1))


def loaded(path: Path, dtype: str = "float32") -> None:
    model = {key: numpy.zeros(value.shape, dtype) for key, value in VALUES.items()}
    load_state_dict(model, read_state_dict(path), silent=True)


def shown(path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        show([str(path), "--all"])


VERBS: dict[str, Callable[[Path], Any]] = {
    "digest": lambda path: digest(read_state_dict(path)),
    "convert": lambda path: convert(path, path.parent / "made.safetensors"),
    "convert and cast": lambda path: convert(path, path.parent / "made.npz", dtype="bf16"),
    "load": loaded,
    "load and cast": lambda path: loaded(path, "float64"),
    "check values": lambda path: plan_load(VALUES, read_state_dict(path), check_values=True),
    "show": shown,
}


@pytest.mark.parametrize("change", [truncate, overwrite])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("target", OPTIONS)
def test_a_file_that_changes_meanwhile_is_an_error(
    tmp_path: Path, target: str, verb: str, change: Callable[[Path], None]
) -> None:
    path = saved(tmp_path, target)
    counted = int(in_child(lambda: accesses(path, verb)))
    for after in sorted({1, counted // 2, counted - 1} - {0}):
        for made in tmp_path.glob("made.*"):
            made.unlink()
        path = saved(tmp_path, target)
        said = in_child(partial(changing, path, verb, change, after))
        assert said == "done" or said.startswith("refused: "), (after, said)
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
