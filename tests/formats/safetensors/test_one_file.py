"""safetensors beside its own library: both read the other's files, and damage is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from caten_sd import FormatError, get_state_dict, load_state_dict, read_state_dict, write_state_dict
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.state_dict import StateDict

WIDE = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64")
WHOLE = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
NAMES = (*WIDE, *WHOLE)
SHAPES: dict[str, tuple[int, ...]] = {"matrix": (3, 4), "scalar": (), "empty": (0, 5)}


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        f"{name}.{kind}": torch.randint(0, 2, shape).to(getattr(torch, name))
        for name in NAMES
        for kind, shape in SHAPES.items()
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_file(tensors(), tmp_path / "w.safetensors", {"note": "héllo"})
    return tmp_path / "w.safetensors"


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    alike = (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    return alike and (not wanted.numel() or bits(found) == bits(wanted))


def test_the_references_file_is_read_as_it_reads_it(path: Path) -> None:
    with read_state_dict(path) as found:
        assert found.metadata == {"note": "héllo"}
        assert sorted(found) == sorted(tensors())
        assert all(same(found[key].torch(), wanted) for key, wanted in tensors().items())


def test_the_reference_reads_what_is_written(tmp_path: Path) -> None:
    write_state_dict(tensors(), tmp_path / "w.safetensors", metadata={"note": "héllo"})
    found = load_file(tmp_path / "w.safetensors")
    assert all(same(found[key], wanted) for key, wanted in tensors().items())
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "héllo"}


def test_no_dtype_and_no_shape_costs_a_copy(path: Path) -> None:
    with read_state_dict(path) as found:
        start = np.frombuffer(leaf_at(found, "float64.matrix").source.view(0, 1), "u1").ctypes.data
        for key in tensors():
            leaf = leaf_at(found, key)
            if not leaf.extent:
                continue
            at = start + leaf.offset
            assert leaf.numpy().__array_interface__["data"][0] == at, key
            assert leaf.torch().data_ptr() == at, key


def leaf_at(state: StateDict, key: str) -> LazyTensor:
    leaf = state[key]
    assert isinstance(leaf, LazyTensor)
    return leaf


def test_where_maps_are_refused_the_numbers_are_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no maps here")

    monkeypatch.setattr("mmap.mmap", refuse)
    for streaming in (False, True):
        with read_state_dict(path, streaming=streaming) as found:
            for key, wanted in tensors().items():
                assert same(found[key].torch(), wanted), key
                assert found[key].numpy().shape == tuple(wanted.shape)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="handles are counted in /proc")
def test_handles_are_given_back_at_the_end_of_the_block(path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    with read_state_dict(path) as found:
        assert count() == before + 1
        kept = found["float32.matrix"].torch()
    # Python's own map holds a handle of its own while an array lies in it.
    assert count() == before + 1
    assert same(kept, tensors()["float32.matrix"])
    del kept
    assert count() == before
    with pytest.raises(FormatError, match="closed"):
        found["float32.matrix"].numpy()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(5, 3)
        self.lm_head = nn.Linear(3, 5, bias=False)
        self.lm_head.weight = self.wte.weight


def test_a_tied_model_goes_both_ways_between_the_reference_and_here(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    saved = Tied()
    save_model(saved, str(theirs))
    write_state_dict(get_state_dict(saved), ours)
    for path, keys in ((theirs, ["lm_head.weight"]), (ours, ["lm_head.weight", "wte.weight"])):
        with read_state_dict(path) as found:
            assert sorted(found) == keys  # theirs has one name of the two, as load_file says
            assert len(found.ties) == len(keys) - 1
            model = load_state_dict(Tied(), found, strict=True)
        assert torch.equal(model.lm_head.weight, saved.wte.weight)
        again = Tied()
        assert load_model(again, path) == (set(), [])
        assert torch.equal(again.lm_head.weight, saved.wte.weight)
        assert again.lm_head.weight is again.wte.weight


def test_metadata_whose_value_is_a_key_stays_metadata(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    given = {"pt": torch.zeros(2), "w": torch.ones(1)}
    save_file(given, path, metadata={"format": "pt", "best": "w"})
    with read_state_dict(path) as found:
        assert list(found) == list(load_file(path))
        assert found.metadata == {"format": "pt", "best": "w"}
        write_state_dict(found, tmp_path / "again.safetensors")
    with read_state_dict(tmp_path / "again.safetensors") as again:
        assert (list(again), again.metadata) == (list(found), found.metadata)


def test_metadata_of_null_is_none_as_mlx_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(file_of({"__metadata__": None, **entry()}))
    with safe_open(path, "np") as theirs:
        assert list(theirs.keys()) == ["w"]
    assert list(read_state_dict(path)) == ["w"]


def file_of(header: Any, data: bytes = bytes(8)) -> bytes:
    is_text = isinstance(header, bytes)
    text = header if is_text else json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


_ONCE = b'"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
TWICE = b"{" + _ONCE + b"," + _ONCE + b"}"
PAIR = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x01\x02", "it has only 2 bytes"),
        (
            (1 << 60).to_bytes(8, "little") + b"{}",
            "its header claims 1,152,921,504,606,846,976 bytes",
        ),
        (file_of(b"[1]"), "its header does not begin with {"),
        (file_of(b'{"w":'), "its header is not JSON"),
        (file_of(b'{"w":' + b"[" * 90_000), "its header is nested too deep"),
        (file_of(TWICE), "'w' is given twice"),
        (file_of({"__metadata__": {"a": 1}, **entry()}), "its __metadata__ is not a map"),
        (file_of({"w": 3}), "the entry 'w' lacks its dtype, its shape or its two data_offsets"),
        (file_of(entry(dtype="F33")), "the dtype 'F33' of 'w' is unknown"),
        (file_of(entry(shape=[-2])), "of 'w' are not sizes"),
        (file_of(entry(shape=[True])), "of 'w' are not sizes"),
        (file_of(entry(shape=[2.0])), "2.0 is in it"),
        (file_of(entry(shape=[3])), "'w' is float32 [3], 12 bytes, but its data_offsets span 8"),
        (file_of(entry(dtype="F4", shape=[3])), "data_offsets span 8"),
        (file_of(entry(data_offsets=[0, 8], shape=[1 << 62])), "data_offsets span 8"),
        (file_of(entry(), bytes(7)), "it is 1 byte short of 'w' (its header claims 8)"),
        (file_of(entry(), bytes(9)), "1 byte follows the last tensor, 'w'"),
        (file_of(PAIR | {"b": {**PAIR["a"], "data_offsets": [2, 6]}}), "'a' and 'b' overlap"),
        (file_of(PAIR | {"b": {**PAIR["a"], "data_offsets": [5, 9]}}), "leave a hole at byte 5"),
    ],
)
@pytest.mark.parametrize("space", [b"", b" "])
def test_damage_is_one_sentence_that_names_it(
    data: bytes, problem: str, space: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    begin, end = 8, 8 + int.from_bytes(data[:8], "little")
    if space and b":" in data[begin:end]:
        header = data[begin:end].replace(b":", b": ")
        data = len(header).to_bytes(8, "little") + header + data[end:]
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_state_dict(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
