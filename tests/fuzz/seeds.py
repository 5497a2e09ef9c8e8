"""Sound files of every format, written by the format's own library where there is one."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import gguf
import ml_dtypes
import msgpack
import numpy as np
import safetensors.numpy
import torch
import torch.distributed.checkpoint as dcp

from caten_sd import write_state_dict

_DATA = Path(__file__).parents[1] / "data"
W = np.arange(12, dtype="f4").reshape(3, 4)
STATE = {"h.0.w": W, "h.0.b": np.ones(3, "f2"), "n": np.array(7, "i8"), "e": np.zeros((0, 2), "u1")}
TENSORS = {key: torch.tensor(array) for key, array in STATE.items()}


def _safetensors(folder: Path) -> None:
    safetensors.numpy.save_file(STATE, folder / "a.safetensors")
    safetensors.numpy.save_file(STATE, folder / "b.safetensors", metadata={"step": "3", "x": "w"})
    write_state_dict({**STATE, "tied": W, "h.0.w": W}, folder / "c.safetensors")


def _torch_zip(folder: Path) -> None:
    torch.save(TENSORS, folder / "a.pt")
    linear = torch.nn.Linear(2, 2)
    torch.save({"model": linear.state_dict(), "epoch": 3, "lr": [0.1]}, folder / "b.pt")
    torch.save(linear, folder / "c.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    torch.save({"q": quantized, "s": torch.eye(3).to_sparse()}, folder / "d.pt")


def _torch_export(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in (("a", torch.nn.Linear(3, 4)), ("b", torch.nn.BatchNorm1d(3))):
            exported = torch.export.export(model.eval(), (torch.ones(2, 3),))
            torch.export.save(exported, folder / f"{name}.pt2")


def _torch_legacy(folder: Path) -> None:
    torch.save(TENSORS, folder / "a.pt", _use_new_zipfile_serialization=False)
    nested = {"m": TENSORS, "t": (1, "x"), "w": torch.nn.Parameter(torch.ones(2, 2))}
    torch.save(nested, folder / "b.pt", _use_new_zipfile_serialization=False)


def _npz(folder: Path) -> None:
    np.savez(folder / "a.npz", **STATE)
    np.savez_compressed(folder / "b.npz", w=W, name="gpt2")
    write_state_dict({"b": np.ones(3, ml_dtypes.bfloat16), "tied": W, "w": W}, folder / "c.npz")


def _npy(folder: Path) -> None:
    np.save(folder / "a.npy", W)
    np.save(folder / "b.npy", np.asfortranarray(W))
    np.save(folder / "c.npy", np.zeros((), ">i2"))


def _gguf(folder: Path) -> None:
    for number, order in enumerate((gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG)):
        writer = gguf.GGUFWriter(folder / f"{number}.gguf", "gpt2", endianess=order)
        writer.add_array("tokens", ["a", "b", "\u00fc"])
        writer.add_float32("eps", 1e-5)
        writer.add_bool("yes", True)
        writer.add_array("numbers", [1, 2, 3])
        writer.add_tensor("w", W)
        blocks = gguf.quants.quantize(np.ones((2, 32), "f4"), gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor("q", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _flax(array: np.ndarray) -> msgpack.ExtType:
    parts = (list(array.shape), array.dtype.name, array.tobytes())
    return msgpack.ExtType(1, msgpack.packb(parts, use_bin_type=True))


def _msgpack(folder: Path) -> None:
    tree = {"params": {"dense": {"kernel": _flax(W)}}, "step": 3, "layers": {0: {"w": _flax(W)}}}
    (folder / "a.msgpack").write_bytes(msgpack.packb(tree, use_bin_type=True))
    write_state_dict({**STATE, "tied": W, "h.0.w": W}, folder / "b.msgpack")


def _archive(folder: Path) -> None:
    safetensors.numpy.save_file(STATE, folder / "w.safetensors")
    inner = (folder / "w.safetensors").read_bytes()
    (folder / "w.safetensors").unlink()
    members = {"config.yaml": b"x: 1", "model.safetensors": inner}
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        with tarfile.open(folder / f"a{mode[2:]}.tar", mode) as tar:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _shards(folder: Path) -> None:
    target = folder / "a"
    target.mkdir()
    weight_map = {}
    for number, (key, array) in enumerate(STATE.items()):
        name = f"model-{number + 1:05}-of-{len(STATE):05}.safetensors"
        safetensors.numpy.save_file({key: array}, target / name)
        weight_map[key] = name
    index = {"metadata": {"total_size": 62}, "weight_map": weight_map}
    (target / "model.safetensors.index.json").write_text(json.dumps(index))


def _folder(folder: Path) -> None:
    target = folder / "a"
    target.mkdir()
    safetensors.numpy.save_file(STATE, target / "model.safetensors")
    (target / "config.json").write_text('{"model_type": "gpt2"}')


def _ranks(folder: Path) -> None:
    target = folder / "a"
    target.mkdir()
    for number in range(2):
        part = {"norm.weight": torch.ones(4), "layers.0.attention.wq.weight": torch.ones(2, 4)}
        torch.save(part, target / f"consolidated.{number:02}.pth")


def _dcp(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"model": TENSORS, "step": 3}, checkpoint_id=folder / "a", no_dist=True)


def _npy_folder(folder: Path) -> None:
    write_state_dict({"b": np.ones(3, ml_dtypes.bfloat16), "tied": W, "w": W}, f"{folder}/a.npy/")


def _eqx(folder: Path) -> None:
    with (folder / "a.eqx").open("wb") as file:
        file.write(b'{"size": 3}\n')
        for array in (W, np.array(0.5), np.ones(3, ml_dtypes.bfloat16).view("V2")):
            np.save(file, array)


def _orbax(folder: Path) -> None:
    arrays = {"h.0.w": W, "e": STATE["e"], "tied": W}
    write_state_dict(arrays, f"{folder}/a/", format="orbax")
    with zipfile.ZipFile(_DATA / "orbax" / "interior_nodes.zip") as archive:  # it is not packed
        archive.extractall(folder / "b")


SEEDS: dict[str, Callable[[Path], None]] = {
    "safetensors": _safetensors,
    "torch-zip": _torch_zip,
    "torch-export": _torch_export,
    "torch-legacy": _torch_legacy,
    "npz": _npz,
    "npy": _npy,
    "eqx": _eqx,
    "gguf": _gguf,
    "msgpack": _msgpack,
    "archive": _archive,
    "sharded": _shards,
    "folder": _folder,
    "dcp": _dcp,
    "ranks": _ranks,
    "orbax": _orbax,
    "npy-folder": _npy_folder,
}


def seeds_of(format: str, folder: Path) -> list[Path]:
    """Write the seeds of a format into a folder, and return their paths, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    SEEDS[format](folder)
    return sorted(folder.iterdir())
