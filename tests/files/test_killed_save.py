"""A save that is killed at any moment leaves the old checkpoint whole, or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")

# One process without threads, which forks for every point: the child counts its own lines inside
# the library and kills itself at one of them, the parent then reads what is there.
WORKER = '''
import os, signal, sys
from pathlib import Path
import numpy as np
from caten_sd.state import pieces
from caten_sd.files import catalog
from caten_sd.files.checkpoint import read_state_dict, write_state_dict

folder, name, before, after, points = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
options = {"one": {}, "many": {"max_shard_size": 900}, "": {}}
pieces.PIECE = 100
list(catalog.formats())
old = {f"layers.{n}.w": np.full((10, 10), n, np.float32) for n in range(4)}
new = {f"layers.{n}.w": np.full((10, 9), -n, np.float32) for n in range(5)}


def save(path, state, how):
    write_state_dict(state, path, **options[how])


def lines(limit):
    """Trace the library's lines; die at the one with the number of the limit."""
    count = 0

    def line(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame, event, argument):
        return line if "caten_sd" in frame.f_code.co_filename else None

    sys.settrace(call)
    return lambda: count


def in_child(work):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def same(found, state):
    arrays = {key: leaf.numpy() for key, leaf in found.items()}
    return arrays.keys() == state.keys() and all(
        np.array_equal(arrays[key], array) for key, array in state.items()
    )


def total(path):
    reader, writer = os.pipe()

    def work():
        counted = lines(-1)
        save(path, new, after)
        sys.settrace(None)
        os.write(writer, str(counted()).encode())

    assert in_child(work) == 0
    return int(os.read(reader, 20))


def run(number, limit):
    path = folder / str(number) / name
    path.parent.mkdir()
    save(path, old, before)
    if limit is None:
        return total(path)
    status = in_child(lambda: (lines(limit), save(path, new, after)))
    assert status == signal.SIGKILL, status
    with read_state_dict(path) as found:
        kept, done = same(found, old), same(found, new)
    assert kept or done, (limit, os.listdir(path.parent), list(found))
    save(path, new, after)
    with read_state_dict(path) as found:
        assert same(found, new)
    place = path if path.is_dir() else path.parent
    odd = [n for n in os.listdir(place) if "partial" in n]
    assert not odd, (limit, odd)
    return kept, len(os.listdir(place))


(folder / "warm").mkdir()
save(folder / "warm" / name, new, after)  # imports and caches take lines, too
end = run("count", None)
half = points // 2
limits = [*(1 + n * end // half for n in range(half)), *range(end - half, end)]
outcomes = [run(n, limit) for n, limit in enumerate(limits)]
print(sum(kept for kept, _ in outcomes), points, len({files for _, files in outcomes}))
'''


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("model.safetensors", "", ""),
        pytest.param("model.npz", "", "", marks=pytest.mark.slow),
        pytest.param("model.pt", "", "", marks=pytest.mark.slow),
        pytest.param("ck.dcp", "", "", marks=pytest.mark.slow),
        ("ck", "many", "many"),
        pytest.param("ck", "one", "many", marks=pytest.mark.slow),
        pytest.param("ck", "many", "one", marks=pytest.mark.slow),
        pytest.param("model.safetensors.index.json", "many", "many", marks=pytest.mark.slow),
    ],
)
def test_killed_at_many_points(tmp_path: Path, name: str, before: str, after: str) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(tmp_path), name, before, after, "40"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept, points, sizes = map(int, done.stdout.split())
    assert 0 < kept < points  # some were killed before the moment that counts, and some behind it
    assert sizes == 1  # the next save leaves nothing of the killed one
