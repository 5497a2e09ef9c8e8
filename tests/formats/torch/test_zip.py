from __future__ import annotations

import argparse
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.files.checkpoint import read_state_dict
from caten_sd.files.format import read, recognize
from caten_sd.formats.torch.zip import TorchZip
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.source import Source

DTYPES_OF_TORCH = [
    getattr(torch, "float4_e2m1fn_x2" if dtype.bits == 4 else name)
    for name, dtype in DTYPES.items()
    if dtype.bits != 6
]


def saved(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def contents(data: bytes) -> Any:
    return read(TorchZip(), Source("a.pt", BytesBacking(data), 0, len(data)))


def tree(data: bytes) -> Any:
    return contents(data).tree


def rewritten(data: bytes, **members: bytes | None) -> bytes:
    """Return the zip with members replaced, added, or left out, by their name below the root."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        wanted = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        for name, content in {**wanted, **members}.items():
            if content is not None:
                new.writestr(f"any name/{name}", content)
    return file.getvalue()


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().flatten().view(torch.uint8)


def same(leaf: Any, tensor: torch.Tensor) -> None:
    found = leaf.torch()
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(bits(found), bits(tensor.resolve_conj().resolve_neg()))


def pattern(dtype: torch.dtype, count: int) -> torch.Tensor:
    data = torch.arange(count * dtype.itemsize, dtype=torch.int64).mul(37).to(torch.uint8)
    return (data % 2).to(torch.bool) if dtype is torch.bool else data.view(dtype)


@pytest.mark.parametrize("dtype", DTYPES_OF_TORCH, ids=str)
def test_every_dtype(dtype: torch.dtype) -> None:
    tensor = pattern(dtype, 12).reshape(3, 4)
    found = tree(saved({"w": tensor, "v": nn.Parameter(tensor, requires_grad=False)}))
    same(found["w"], tensor)
    same(found["v"], tensor)
    assert found["w"] is found["v"]


BASE = torch.arange(60, dtype=torch.float32)
VIEWS = {
    "0-d": torch.tensor(2.5),
    "empty": torch.empty(0, 3),
    "transposed": BASE.reshape(6, 10).T,
    "strided": BASE[3::7],
    "window": BASE[5:11].reshape(2, 3),
    "permuted": BASE.reshape(3, 4, 5).permute(2, 0, 1),
    "expanded": BASE[:1].expand(4, 5),
    "diagonal": BASE[:36].reshape(6, 6).diagonal(),
    "conjugate": torch.tensor([1 + 2j, 3j]).conj(),
    "negative": torch.tensor([1 + 2j, 3j]).conj().imag,
    "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_kind_of_view(name: str) -> None:
    same(tree(saved({"w": VIEWS[name]}))["w"], VIEWS[name])


def test_views_of_one_storage_and_tied_tensors() -> None:
    whole, tied = BASE[:], nn.Parameter(torch.ones(2))
    found = tree(saved({"whole": whole, "part": BASE[4:8], "a": tied, "b": tied, "c": tied.data}))
    same(found["part"], BASE[4:8])
    assert found["a"] is found["b"] is found["c"]
    assert found["whole"] is not found["part"]


def test_a_nested_checkpoint_keeps_its_values() -> None:
    given = {
        "epoch": 3, "lr": 1e-3, "big": 2**70, "none": None, "flag": True, "text": "é",
        "model": {"w": BASE, "list": [BASE, (1, 2)]},
        "opt": {"state": {140178894882424: {"step": torch.tensor(3)}}, "param_groups": [{}]},
        "size": BASE.reshape(6, 10).shape, "array": np.arange(3), "scalar": np.float64(2),
    }  # fmt: skip
    found = tree(saved(given))
    assert list(found) == list(given)
    for key in ("epoch", "lr", "big", "none", "flag", "text"):
        assert found[key] == given[key]
    assert found["size"] == (6, 10)
    assert found["model"]["list"] == [found["model"]["w"], (1, 2)]
    assert found["opt"]["state"][140178894882424]["step"].numpy() == 3
    assert found["array"].numpy().tolist() == [0, 1, 2]
    assert found["scalar"].numpy() == 2


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_objects_of_torch_beside_tensors_stay_opaque() -> None:
    given = {
        "dtype": torch.bfloat16,
        "device": torch.device("cuda", 1),
        "half": torch.ones(2).to(torch.complex32),
        "meta": torch.empty(2, device="meta"),
        "args": argparse.Namespace(lr=0.1),
        "w": BASE,
    }
    found = contents(saved(given))
    names = {key: value.name for key, value in found.tree.items() if key != "w"}
    assert names == {
        "dtype": "torch.bfloat16",
        "device": "torch.device",
        "half": "torch.complex32",
        "meta": "torch._utils._rebuild_meta_tensor_no_storage",
        "args": "argparse.Namespace",
    }
    assert found.metadata["caten_sd.opaque"]["argparse.Namespace"] == 1


class Marked(torch.Tensor):
    pass


def test_a_subclass_and_a_parameter_with_attributes_are_tensors() -> None:
    marked: Any = BASE.as_subclass(Marked)
    marked.note = "x"
    parameter: Any = nn.Parameter(BASE)
    parameter.note = "y"
    found = tree(saved({"a": marked, "b": parameter, "c": nn.UninitializedParameter()}))
    same(found["a"], BASE)
    same(found["b"], BASE)
    assert found["c"].name == "torch.nn.parameter.UninitializedParameter"


def test_tensors_pickled_without_torch_save() -> None:
    given = {"w": BASE, "part": BASE[3:5], "storage": torch.ones(2).untyped_storage()}
    found = tree(saved({"inner": given, "outer": pickle.dumps(given)}))
    same(found["inner"]["w"], BASE)
    assert found["inner"]["storage"].shape == (8,)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.state = torch.zeros(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.norm(x) + self.state.sum()
        return y


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_script_gives_its_declared_tensors_under_its_modules() -> None:
    module = torch.jit.script(nn.Sequential(nn.Linear(2, 2), Inner()))
    file = io.BytesIO()
    torch.jit.save(module, file)
    found = contents(file.getvalue())
    assert recognize(TorchZip(), Source("a", BytesBacking(file.getvalue()), 0, file.tell()))
    assert found.metadata["torch"] == "TorchScript"
    assert list(found.tree["1"]) == ["norm"]
    leaves = {
        **{f"0.{k}": v for k, v in found.tree["0"].items()},
        **{f"1.norm.{k}": v for k, v in found.tree["1"]["norm"].items()},
    }
    expected = module.state_dict()
    assert list(leaves) == list(expected)
    for key, tensor in expected.items():
        same(leaves[key], tensor)


def test_the_root_has_any_name_and_byteorder_may_be_absent() -> None:
    same(tree(rewritten(saved({"w": BASE})))["w"], BASE)
    same(tree(rewritten(saved({"w": BASE}), byteorder=None, version=None))["w"], BASE)


def test_a_big_endian_file_is_swapped() -> None:
    data = rewritten(
        saved({"w": BASE}), byteorder=b"big", **{"data/0": BASE.numpy().astype(">f4").tobytes()}
    )
    same(tree(data)["w"], BASE)


def test_storages_are_windows_of_the_map_and_packed_ones_wait(tmp_path: Path) -> None:
    data = saved({"w": BASE})
    (tmp_path / "a.pt").write_bytes(data)
    with read_state_dict(tmp_path / "a.pt") as found:
        assert found["w"].raw().obj.__class__.__name__ == "mmap"
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    leaf = tree(packed.getvalue())["w"]
    assert leaf.source._backing._data is None
    same(leaf, BASE)


def test_recognized_by_content() -> None:
    def evidence(data: bytes) -> Any:
        return recognize(TorchZip(), Source("a", BytesBacking(data), 0, len(data)))

    assert evidence(saved({"w": BASE}))
    assert evidence(saved({"w": BASE})[:200])
    assert evidence(rewritten(saved({}), **{"data.pkl": None})) is None
    assert evidence(b"PK\3\4") is None
    assert evidence(b"PK\5\6" + bytes(18)) is None
    assert evidence(saved({}, _use_new_zipfile_serialization=False)) is None


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    torch.save({"w": BASE, "n": argparse.Namespace()}, tmp_path / "a.pt")
    code = (
        "import sys; from caten_sd.files.checkpoint import read_state_dict, write_state_dict\n"
        "found = read_state_dict('a.pt'); assert found['w'].numpy()[7] == 7\n"
        "write_state_dict({'w': found['w']}, 'b.pt'); assert 'torch' not in sys.modules"
    )
    here = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(here)},
        check=True,
    )
    assert torch.equal(torch.load(tmp_path / "b.pt")["w"], BASE)
