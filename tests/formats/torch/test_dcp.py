from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import metadata as md
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.state.state_dict import StateDict
from caten_sd.state.tiles import TiledTensor

W = torch.arange(48.0).reshape(8, 6)


def saved(path: Path, state: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the process group that is not there
        dcp.save(state, checkpoint_id=path)
    return path


def loaded(path: Path, state: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.load(state, checkpoint_id=path)
    return state


def record(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value.clone() if isinstance(value, torch.Tensor) else value, file)
    return file.getvalue()


def cut(
    folder: Path, tensor: torch.Tensor, boxes: list[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    """Write a tensor as processes do that hold a box each: torch's classes, pickled by Python."""
    folder.mkdir(exist_ok=True)
    chunks, places = [], {}
    for rank, (start, stop) in enumerate(boxes):
        sizes = torch.Size(b - a for a, b in zip(start, stop, strict=True))
        chunks.append(md.ChunkStorageMetadata(torch.Size(start), sizes))
        data = record(tensor[start[0] : stop[0], start[1] : stop[1]])
        name = f"__{rank}_0.distcp"
        (folder / name).write_bytes(b"before" + data)
        places[md.MetadataIndex("w", start)] = _StorageInfo(name, 6, len(data))
    properties = md.TensorProperties(dtype=tensor.dtype)
    whole = md.TensorStorageMetadata(properties, tensor.shape, chunks)
    found = md.Metadata({"w": whole}, {"w": ("w",)}, places, md.StorageMeta(folder))
    (folder / ".metadata").write_bytes(pickle.dumps(found))


def edited(folder: Path, change: Any) -> Path:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    change(metadata)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder


GRID = [((r, c), (r + 4, c + 3)) for r in (0, 4) for c in (0, 3)]


def test_what_torch_saves_is_read(tmp_path: Path) -> None:
    model = {"h.0.w": W.bfloat16(), "scale": torch.tensor(2.0), "ids": torch.arange(3)}
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    saved(tmp_path / "ck", {"model": model, "optimizer": optimizer, "step": 3})
    for path in (tmp_path / "ck", tmp_path / "ck" / ".metadata"):
        with read_state_dict(path) as found:
            assert set(found) == set(model)
            for key, leaf in found.items():
                torch.testing.assert_close(leaf.torch(), model[key], rtol=0, atol=0)
            assert found.origin == "dcp, its tree 'model'"
    with read_state_dict(tmp_path / "ck", root="optimizer") as found:
        assert found["state.0.exp_avg"].numpy().tolist() == [1, 1]


def test_torch_loads_what_is_written(tmp_path: Path) -> None:
    w = np.asarray(W)
    given = StateDict({"m.w": w.T, "b": np.array(2.0), "tied": w.T}, ties={"tied": "m.w"})
    write_state_dict(given, tmp_path / "ck.dcp")
    state = {"m": {"w": torch.zeros(6, 8)}, "tied": torch.zeros(6, 8)}
    state["b"] = torch.zeros((), dtype=torch.float64)
    loaded(tmp_path / "ck.dcp", state)
    assert torch.equal(state["m"]["w"], W.T)
    assert torch.equal(state["tied"], W.T)
    assert state["b"] == 2
    dcp_to_torch_save(tmp_path / "ck.dcp", tmp_path / "whole.pt")
    assert set(torch.load(tmp_path / "whole.pt", weights_only=True)) == {"m.w", "b", "tied"}


def test_one_set_replaces_another_whoever_wrote_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "ck", {"w": W})
    (folder / "config.json").write_text("{}")
    for number in (1, 2, 3):
        write_state_dict({"w": W * number}, folder / ".metadata")
        assert sorted(os.listdir(folder)) == [".metadata", f"__{number}_0.distcp", "config.json"]
        assert torch.equal(loaded(folder, {"w": torch.zeros(8, 6)})["w"], W * number)


def test_boxes_make_the_whole_and_a_slice_reads_its_boxes(tmp_path: Path) -> None:
    cut(tmp_path, W, GRID)
    assert torch.equal(loaded(tmp_path, {"w": torch.zeros(8, 6)})["w"], W)
    with read_state_dict(tmp_path) as found:
        leaf = found["w"]
        assert isinstance(leaf, TiledTensor)
        assert torch.equal(leaf.torch(), W)
        assert torch.equal(leaf[1:7:2, 2:5].torch(), W[1:7:2, 2:5])
        (tmp_path / "__3_0.distcp").write_bytes(bytes((tmp_path / "__3_0.distcp").stat().st_size))
        assert torch.equal(leaf[:4].torch(), W[:4])
    with read_state_dict(tmp_path) as found, pytest.raises(FormatError, match="__3_0"):
        found["w"].numpy()


def refused(folder: Path, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught, read_state_dict(folder) as found:
        found["w"].numpy()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_absent(tmp_path: Path) -> None:
    cut(tmp_path, W, [((n, 0), (n + 2, 6)) for n in range(0, 8, 2)])
    (tmp_path / "__1_0.distcp").unlink()
    refused(
        tmp_path,
        r"w: ranges cover rows 0-1 and 4-7; rows 2-3 are in no file \(missing __1_0\.distcp\?\)",
    )


def test_a_process_that_wrote_nothing(tmp_path: Path) -> None:
    cut(tmp_path, W, GRID)

    def forget(metadata: Any) -> None:
        del metadata.storage_data[md.MetadataIndex("w", (0, 3))]

    edited(tmp_path, forget)
    refused(tmp_path, r"along axis 1 indices 0-2; indices 3-5 are in no file \(missing __1_0")


def test_boxes_that_overlap(tmp_path: Path) -> None:
    cut(tmp_path, W, [((0, 0), (5, 6)), ((4, 0), (8, 6))])
    refused(tmp_path, "w: rows 4 are in two places")


def test_a_box_that_leads_past_the_tensor(tmp_path: Path) -> None:
    cut(tmp_path, W, GRID)
    edited(tmp_path, lambda m: setattr(m.state_dict_metadata["w"], "size", torch.Size((7, 6))))
    refused(tmp_path, r"w is \[7, 6\] .* ends at \[8, 3\]")


def test_sizes_that_nothing_backs_are_not_allocated(tmp_path: Path) -> None:
    cut(tmp_path, W, [((0, 0), (8, 6))])

    def grow(metadata: Any) -> None:
        whole = metadata.state_dict_metadata["w"]
        whole.size = whole.chunks[0].sizes = torch.Size((1 << 40, 6))

    edited(tmp_path, grow)
    refused(tmp_path, "bytes cannot hold float32")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("offset", -1, "range of bytes"),
        ("offset", 1 << 50, "ends before byte"),
        ("offset", 0, "zip|format"),
        ("length", 1 << 62, "ends before byte"),
        ("length", 400, "zip"),
        ("length", None, "not what torch writes .*length"),
        ("relative_path", "../secret", "path"),
        ("relative_path", "/etc/passwd", "path"),
        ("relative_path", 3, "range of bytes"),
        ("transform_descriptors", ("zstd",), "transformed by"),
    ],
)
def test_places_that_are_none(tmp_path: Path, field: str, value: Any, problem: str) -> None:
    cut(tmp_path, W, [((0, 0), (8, 6))])

    def change(metadata: Any) -> None:
        setattr(next(iter(metadata.storage_data.values())), field, value)

    refused(edited(tmp_path, change), problem)


@pytest.mark.parametrize(
    "data", [record(W[:4]), record(W.double()), record({"w": W}), record(W)[:-9]]
)
def test_a_record_of_something_else(tmp_path: Path, data: bytes) -> None:
    cut(tmp_path, W, [((0, 0), (8, 6))])
    (tmp_path / "__0_0.distcp").write_bytes(data)

    def change(metadata: Any) -> None:
        place = next(iter(metadata.storage_data.values()))
        place.offset, place.length = 0, len(data)

    refused(edited(tmp_path, change), "w: its record in __0_0.distcp|zip")


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("whole", [True, False])
def test_a_program_in_the_metadata_is_not_run(tmp_path: Path, whole: bool) -> None:
    canary = tmp_path.with_name("canary")
    cut(tmp_path, W, GRID)
    if whole:
        (tmp_path / ".metadata").write_bytes(pickle.dumps(Evil(canary)))
    else:
        edited(tmp_path, lambda m: setattr(m, "planner_data", Evil(canary)))
    refused(tmp_path, "asks to call posix.system")
    assert not canary.exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x04", pickle.dumps({"w": 1}), pickle.dumps(W.shape)])
def test_a_metadata_that_is_none(tmp_path: Path, data: bytes) -> None:
    cut(tmp_path, W, GRID)
    (tmp_path / ".metadata").write_bytes(data)
    refused(tmp_path, r"\.metadata: (it is empty|its pickle|.*not what torch writes)")


def test_a_folder_without_its_metadata(tmp_path: Path) -> None:
    cut(tmp_path, W, GRID)
    (tmp_path / ".metadata").unlink()
    refused(tmp_path, r"no \.metadata, .*; copy")


def test_torch_is_not_needed(tmp_path: Path) -> None:
    cut(tmp_path, W, GRID)
    code = (
        "import sys; from caten_sd.files.checkpoint import read_state_dict, write_state_dict\n"
        "with read_state_dict(sys.argv[1]) as found: write_state_dict(found, sys.argv[2])\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, tmp_path / "out.dcp"], check=True)
    assert torch.equal(loaded(tmp_path / "out.dcp", {"w": torch.zeros(8, 6)})["w"], W)


WORKER = """
import os, sys, warnings
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
warnings.simplefilter("ignore")
torch.set_num_threads(1)
rank, store, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
w = torch.arange(35.0).reshape(7, 5)
state = {"model": {f"w{n}": distribute_tensor(w + n, mesh, [placement])
                   for n, placement in enumerate([Shard(0), Shard(1), Replicate()])}}
dcp.save(state, checkpoint_id=path)
dist.barrier()
os._exit(0)  # torch's threads may abort a process whose peer has gone first
"""


@pytest.mark.slow
def test_two_processes_and_their_dtensors(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "store"), str(tmp_path / "ck")]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), *arguments]) for rank in (0, 1)
    ]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    w = torch.arange(35.0).reshape(7, 5)
    with read_state_dict(tmp_path / "ck", root="model") as found:
        for number in range(3):
            assert torch.equal(found[f"w{number}"].torch(), w + number)
            assert torch.equal(found[f"w{number}"][2:6, ::2].torch(), (w + number)[2:6, ::2])
