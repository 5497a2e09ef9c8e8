"""Damaged files of every format: only this library's errors come out, and in time."""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caten_sd.errors import CatenError
from caten_sd.files.catalog import formats
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import Format
from caten_sd.state.state_dict import StateDict

W = np.arange(12, dtype="f4").reshape(3, 4)
STATE = StateDict(
    {"h.0.w": W, "h.0.b": np.ones(3, ml_dtypes.bfloat16), "n": np.array(7, "i8"), "tied": W},
    metadata={"layout": "x", "step": "3"},
)
SIZES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1]


def torch_saved(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def tar_of(data: bytes, mode: Any) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, content in (("config.yaml", b"x: 1"), ("model.safetensors", data)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def by_format(format: Format, path: Path) -> None:
    options = {"max_shard_size": 40} if format.name == "sharded" else {}
    write_state_dict({"w": W} if format.name == "npy" else STATE, path, format=format, **options)


def others(folder: Path) -> Iterator[Path]:
    """Write what the library reads and does not write, or not so."""
    tensors = {"w": torch.tensor(W), "b": torch.ones(2).bfloat16(), "m": torch.nn.Linear(2, 2)}
    parts = {
        "legacy.pt": torch_saved(tensors, _use_new_zipfile_serialization=False),
        "module.pt": torch_saved({"model": tensors, "epoch": 3}),
    }
    write_state_dict({"w": W}, folder / "inner.safetensors")
    inner = (folder / "inner.safetensors").read_bytes()
    for mode in ("w", "w:gz", "w:xz"):
        parts[f"m.{mode[2:]}.nemo"] = tar_of(inner, mode)
    for name, data in parts.items():
        (folder / name).write_bytes(data)
        yield folder / name
    np.savez_compressed(folder / "packed.npz", w=W, name="gpt2")
    yield folder / "packed.npz"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("samples")
    found = []
    for number, format in enumerate(formats()):
        suffix = next(iter(format.suffixes), "").rstrip("/").replace(".index.json", "")
        path = folder / f"{number}{suffix}"
        try:
            by_format(format, path)
            found.append(path)
        except CatenError:
            assert format.name in ("archive", "folder", "torch legacy")
    return [*found, *others(folder)]


mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "drop", "size", "copy"]),
        st.integers(0, 1 << 30),
        st.integers(0, 1 << 30),
    ),
    min_size=1,
    max_size=3,
)


def mutated(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    for kind, where, what in changes:
        at = where % max(len(data), 1)
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << what % 8)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + what.to_bytes(8, "little")[: 1 + what % 8] + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + 1 + what % 9 :]
        elif kind == "size":
            order: Any = ("little", "big")[what % 2]
            width = (1, 2, 4, 8)[what // 2 % 4]
            size = SIZES[what // 8 % len(SIZES)] % (1 << 8 * width)
            data = data[:at] + size.to_bytes(width, order) + data[at + width :]
        else:
            data = data[:at] + data[what % max(len(data), 1) :][:40] + data[at:]
    return data


def read_all(path: Path) -> None:
    with contextlib.suppress(CatenError), read_state_dict(path) as found:
        for leaf in found.values():
            with contextlib.suppress(CatenError):
                array = leaf.numpy()
                assert array.nbytes < 1 << 20


def damaged(samples: list[Path], number: int, changes: Any, folder: Path) -> Path:
    """Copy a sample with one of its files changed."""
    sample = samples[number % len(samples)]
    target = folder / sample.name
    if sample.is_file():
        target.write_bytes(mutated(sample.read_bytes(), changes))
        return target
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(sample, target)
    files = sorted(target.iterdir())
    chosen = files[changes[0][1] % len(files)]
    chosen.write_bytes(mutated(chosen.read_bytes(), changes))
    return target


def test_the_samples_are_whole(samples: list[Path]) -> None:
    assert len(samples) >= 14
    for sample in samples:
        with read_state_dict(sample, root="model" if sample.name == "module.pt" else None) as found:
            assert found
            for leaf in found.values():
                leaf.numpy()


def fuzz(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=5000,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


@fuzz(600)
@given(number=st.integers(0, 1 << 10), changes=mutations)
def test_only_our_errors_come_out(
    samples: list[Path], tmp_path: Path, number: int, changes: Any
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_all(damaged(samples, number, changes, tmp_path))


@pytest.mark.slow
@fuzz(10_000)
@given(number=st.integers(0, 1 << 10), changes=mutations)
def test_only_our_errors_come_out_at_length(
    samples: list[Path], tmp_path: Path, number: int, changes: Any
) -> None:
    read_all(damaged(samples, number, changes, tmp_path))
