"""What is written as torch's zip, opened by torch and by transformers."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import serialization

from caten_sd.errors import StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source, open_file
from caten_sd.state.state_dict import StateDict

DTYPES_OF_TORCH = [
    getattr(torch, "float4_e2m1fn_x2" if dtype.bits == 4 else name)
    for name, dtype in DTYPES.items()
    if dtype.bits != 6
]


BASE = torch.arange(60, dtype=torch.float32)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().flatten().view(torch.uint8)


def same(leaf: Any, tensor: torch.Tensor) -> None:
    found = leaf.torch()
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(bits(found), bits(tensor.resolve_conj().resolve_neg()))


def pattern(dtype: torch.dtype, count: int) -> torch.Tensor:
    data = torch.arange(count * dtype.itemsize, dtype=torch.int64).mul(37).to(torch.uint8)
    return (data % 2).to(torch.bool) if dtype is torch.bool else data.view(dtype)


def written(state_dict: Any, tmp_path: Path, **options: Any) -> Path:
    path = tmp_path / "w.pt"
    write_state_dict(state_dict, path, **options)
    return path


@pytest.mark.parametrize("mapped", [False, True])
def test_torch_loads_every_dtype_that_we_write(tmp_path: Path, mapped: bool) -> None:
    given = {str(dtype): pattern(dtype, 12).reshape(3, 4) for dtype in DTYPES_OF_TORCH}
    given |= {"é\n.0": torch.tensor(1.5), "none": torch.empty(2, 0), "view": BASE.reshape(6, 10).T}
    path = written(given, tmp_path)
    found = torch.load(path, weights_only=True, mmap=mapped)
    assert list(found) == list(given)
    for key, tensor in given.items():
        assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(bits(found[key]), bits(tensor))
    with read_state_dict(path) as ours:
        for key, tensor in given.items():
            same(ours[key], tensor)


def test_our_layout_is_torchs_own(tmp_path: Path) -> None:
    """torch can work out where storages lie instead of reading it, if they lie as it puts them."""
    given = {
        "a": torch.ones(3),
        "none": torch.empty(0),
        "b": torch.ones(70_000),
        "c": torch.ones(1),
    }
    path = written(given, tmp_path)
    config: Any = serialization.config
    with config.patch({"load.calculate_storage_offsets": True}):
        found = torch.load(path, weights_only=True, mmap=True)
    assert all(torch.equal(found[key], tensor) for key, tensor in given.items())
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        assert {info.date_time[0] for info in opened.infolist()} == {1980}


def test_tied_tensors_are_written_once_and_tied_again(tmp_path: Path) -> None:
    weight = torch.ones(1000, 8)
    path = written({"a": weight, "b": torch.ones(3), "c": weight}, tmp_path)
    assert path.stat().st_size < 1.5 * weight.nbytes
    found = torch.load(path, weights_only=True)
    assert list(found) == ["a", "b", "c"]
    assert found["a"].data_ptr() == found["c"].data_ptr()
    with read_state_dict(path) as ours:
        assert ours.ties == {"c": "a"}


def test_metadata_and_determinism(tmp_path: Path) -> None:
    given = StateDict({"w": BASE}, metadata={"caten_sd.layout": "hf-gpt2", "note": "é"})
    path = written(given, tmp_path)
    first = path.read_bytes()
    assert written(given, tmp_path).read_bytes() == first
    assert torch.equal(torch.load(path, weights_only=True)["w"], BASE)
    with read_state_dict(path) as found:
        assert found.metadata == {"caten_sd.layout": "hf-gpt2", "note": "é"}


def test_many_sizes_of_integers_in_the_pickle(tmp_path: Path) -> None:
    shapes = [(255,), (256,), (65_536,), (1,) * 40, (0, 2**31), (0, 2**40)]
    given = {str(shape): torch.empty(shape, dtype=torch.int8).fill_(1) for shape in shapes}
    found = torch.load(written(given, tmp_path), weights_only=True)
    assert {key: tuple(tensor.shape) for key, tensor in found.items()} == {
        str(shape): shape for shape in shapes
    }


def test_a_model_of_many_tensors_loads(tmp_path: Path) -> None:
    given = {f"layers.{number}.weight": torch.full((2,), float(number)) for number in range(3000)}
    found = torch.load(written(given, tmp_path), weights_only=True)
    assert all(torch.equal(found[key], tensor) for key, tensor in given.items())


@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_what_torch_has_no_tensor_for_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source = Source("a", BytesBacking(bytes(3)), 0, 3)
    leaf = LazyTensor(source, 0, DTYPES["float4_e2m1fn"], shape)
    with pytest.raises(StateDictError, match="torch zip cannot hold 'w'"):
        written({"w": leaf}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_transformers_opens_what_we_write(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=11, n_positions=6)
    model = GPT2LMHeadModel(config)
    config.save_pretrained(tmp_path)
    write_state_dict(dict(model.state_dict()), tmp_path / "pytorch_model.bin")
    again = GPT2LMHeadModel.from_pretrained(tmp_path)
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor)


@pytest.mark.slow
def test_a_tensor_beyond_4_gb_and_one_behind_it(tmp_path: Path) -> None:
    size = (1 << 32) + 5
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(size)
        file.seek(size - 1)
        file.write(b"\7")
    source = open_file(tmp_path / "zeros")
    large = LazyTensor(source, 0, DTYPES["uint8"], (size,))
    path = written({"large": large, "after": torch.ones(3)}, tmp_path)
    source.close()
    config: Any = serialization.config
    for calculated in (False, True):
        with config.patch({"load.calculate_storage_offsets": calculated}):
            found = torch.load(path, weights_only=True, mmap=True)
        assert found["large"].shape == (size,)
        assert found["large"][-1] == 7
        assert torch.equal(found["after"], torch.ones(3))
    with read_state_dict(path) as ours, zipfile.ZipFile(path) as opened:
        assert ours["large"][-1:].numpy().tolist() == [7]
        assert ours["after"].numpy().tolist() == [1, 1, 1]
        assert opened.getinfo("archive/data/1").header_offset > size
