"""Files that change while they are open, and state dicts in other processes and threads."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest

from caten_sd import FormatError, StateDict, get_state_dict, read_state_dict, write_state_dict

VALUES = {f"layer.{n}": numpy.full((64, 64), n, "float32") for n in range(4)}
NAMES = ["a.safetensors", "a.npz", "a.msgpack", "a.gguf", "a.pt", "legacy.pt"]


def saved(path: Path) -> Path:
    if path.suffix == ".pt":
        torch = pytest.importorskip("torch")
        tensors = {key: torch.from_numpy(value) for key, value in VALUES.items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=path.stem != "legacy")
    else:
        write_state_dict(get_state_dict(VALUES), path)
    return path


def sums(state_dict: StateDict) -> dict[str, float]:
    return {key: float(leaf.numpy().sum()) for key, leaf in state_dict.items()}


EXPECTED = {key: float(value.sum()) for key, value in VALUES.items()}


def truncate(path: Path) -> None:
    os.truncate(path, 100)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3000:-2000] = bytes(1000)
    with path.open("r+b") as file:
        file.write(data)
    later = time.time_ns() + 1_000_000_000  # the clock of some file systems is coarse
    os.utime(path, ns=(later, later))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [truncate, grow, overwrite])
def test_a_file_that_changed_is_an_error(tmp_path: Path, name: str, change: Any) -> None:
    path = saved(tmp_path / name)
    state_dict = read_state_dict(path)
    state_dict["layer.0"].numpy()
    change(path)
    with pytest.raises(FormatError, match=r"the file changed.*open it again"):
        sums(state_dict)
    with pytest.raises(FormatError, match="the file changed"):
        write_state_dict(state_dict, tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_renamed_away_is_still_read(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name)
    state_dict = read_state_dict(path)
    path.rename(tmp_path / "gone")
    path.write_bytes(bytes((tmp_path / "gone").stat().st_size))
    assert sums(state_dict) == EXPECTED


def test_a_file_of_a_folder_that_was_replaced_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    for key, value in VALUES.items():
        numpy.save(folder / f"{key}.npy", value)
    state_dict = read_state_dict(folder)
    numpy.save(tmp_path / "new.npy", numpy.zeros((64, 64), "int32"))
    (tmp_path / "new.npy").replace(folder / "layer.2.npy")
    with pytest.raises(FormatError, match=r"layer\.2\.npy.*the file changed"):
        sums(state_dict)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_read_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, copied: Any
) -> None:
    saved(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    state_dict = read_state_dict(name)
    monkeypatch.chdir("/")
    found = copied(state_dict)
    assert sums(found) == EXPECTED
    assert float(copied(state_dict["layer.3"]).numpy().sum()) == EXPECTED["layer.3"]


def test_a_pickled_state_dict_of_a_replaced_file_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    text = pickle.dumps(read_state_dict(path))
    saved(tmp_path / "b.safetensors").replace(path)
    with pytest.raises(FormatError, match=r"a\.safetensors.*the file changed"):
        pickle.loads(text)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("change", ["closed", "replaced"])
def test_a_file_that_is_gone_is_not_copied(tmp_path: Path, copied: Any, change: str) -> None:
    path = saved(tmp_path / "a.safetensors")
    state_dict = read_state_dict(path)
    if change == "closed":
        state_dict.close()
    else:
        path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(FormatError, match=r"a\.safetensors.*copied.*the file (was closed|changed)"):
        copied(state_dict)


def in_every_format(tmp_path: Path) -> list[StateDict]:
    """Return the same tensors from a file or folder of every format, also packed and archived."""
    paths = [saved(tmp_path / name) for name in NAMES]
    for name, options in (("d.dcp/", {}), ("f.npy/", {}), ("s/", {"max_shard_size": "40kB"})):
        write_state_dict(get_state_dict(VALUES), f"{tmp_path}/{name}", **options)
        paths.append(tmp_path / name)
    numpy.savez_compressed(tmp_path / "packed.npz", **VALUES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(paths[0], "a.safetensors")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(paths[0], "a.safetensors")
    archives = [tmp_path / name for name in ("packed.npz", "a.zip", "a.tar.gz")]
    return [read_state_dict(path) for path in (*paths, *archives)]


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_read_a_state_dict_of_every_format(tmp_path: Path, method: str) -> None:
    given = in_every_format(tmp_path)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(sums, given * 2) == [EXPECTED] * 2 * len(given)


def test_threads_and_copies_read_a_state_dict_of_every_format(tmp_path: Path) -> None:
    given = in_every_format(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sums, given * 4)) == [EXPECTED] * 4 * len(given)
    assert [sums(pickle.loads(pickle.dumps(each))) for each in given] == [EXPECTED] * len(given)


@pytest.mark.parametrize("name", NAMES)
def test_threads_read_a_state_dict(tmp_path: Path, name: str) -> None:
    state_dict = read_state_dict(saved(tmp_path / name))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sums, [state_dict] * 32)) == [EXPECTED] * 32


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_many_shards_need_few_descriptors(tmp_path: Path) -> None:
    import resource

    from safetensors.numpy import save_file

    names = {}
    for n in range(400):
        names[f"w{n}"] = f"model-{n + 1:05}-of-00400.safetensors"
        save_file({f"w{n}": numpy.full(2, n, "float32")}, tmp_path / names[f"w{n}"])
    index = {"metadata": {}, "weight_map": names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 160, limits[1]))
    try:
        found = sums(read_state_dict(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == {f"w{n}": 2.0 * n for n in range(400)}
