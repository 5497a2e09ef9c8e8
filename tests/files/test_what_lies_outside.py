"""What lies outside the chosen tree: every verb keeps it or leaves it out as the others do."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import msgpack
import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file

import caten_sd as sd
from tests.files.test_conversion_edits import WITH_METADATA


class Case(NamedTuple):
    """A file, how it is opened, and what it holds next to the tensors ``h.0.w`` and ``h.0.b``."""

    make: Callable[[Path], Any]
    root: str | None = None
    outside: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()


def tensors() -> dict[str, torch.Tensor]:
    return {"h.0.w": torch.arange(6.0).reshape(2, 3), "h.0.b": torch.ones(3)}


def optimizer() -> dict[str, Any]:
    return torch.optim.Adam(torch.nn.Linear(2, 2).parameters()).state_dict()


def as_torch(**outside: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save({"model": tensors(), **outside}, folder / "in.pt")
        return folder / "in.pt"

    return make


def as_safetensors(folder: Path) -> Path:
    save_file(tensors(), folder / "in.safetensors", {"format": "pt", "note": "x"})
    return folder / "in.safetensors"


def as_gguf(folder: Path) -> Path:
    writer = gguf.GGUFWriter(folder / "in.gguf", "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    for name, tensor in tensors().items():
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "in.gguf"


def packed(array: np.ndarray[Any, Any]) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes())))


def as_flax(folder: Path) -> Path:
    params = {"h": {"0": {name[4:]: packed(leaf.numpy()) for name, leaf in tensors().items()}}}
    state = {"params": params, "step": 3, "opt_state": {"0": {"count": packed(np.zeros(()))}}}
    (folder / "in.msgpack").write_bytes(msgpack.packb(state))
    return folder / "in.msgpack"


def as_numpy(folder: Path) -> Path:
    leaves = {name: leaf.numpy() for name, leaf in tensors().items()}
    np.savez(folder / "in.npz", **leaves, names=np.array(["a", None], dtype=object))
    return folder / "in.npz"


def as_dcp(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the one process, which is meant
        dcp.save({"model": tensors(), "epoch": 3}, checkpoint_id=folder / "in")
    return folder / "in"


def as_nested_shards(folder: Path) -> Path:
    for number, (key, tensor) in enumerate(tensors().items(), 1):
        name = f"part-{number:05}-of-00002.bin"
        torch.save({"model": {key: tensor}, "epoch": 3}, folder / name)
    return folder


def as_shards(folder: Path) -> Path:
    names = {}
    for number, (key, tensor) in enumerate(tensors().items(), 1):
        name = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({key: tensor, "version": number, f"v.{number}": 0}, folder / name)
        names[key] = name
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {"note": "x"}, "weight_map": names}))
    return index


CASES = {
    "torch": Case(as_torch(epoch=3, optimizer=optimizer()), None, ("epoch", "optimizer")),
    "torch, one of two": Case(as_torch(ema=tensors(), epoch=3), "model", ("ema", "epoch")),
    "torch, values among the leaves": Case(
        lambda folder: torch.save({**tensors(), "h.0.n": 3}, folder / "in.pt") or folder / "in.pt",  # type: ignore[func-returns-value]
        None,
        ("h.0.n",),
    ),
    "safetensors": Case(as_safetensors, None, (), ("note",)),
    "gguf": Case(as_gguf, None, (), ("llama.block_count", "tokenizer.ggml.tokens")),
    "flax": Case(as_flax, None, ("step", "opt_state")),
    "npz": Case(as_numpy, None, ("names",)),
    "dcp": Case(as_dcp, None, ("epoch",)),
    "shards of torch": Case(
        as_shards,
        None,
        ("version", "pytorch_model-00002-of-00002.bin: version", "v.1", "v.2"),
        ("note",),
    ),
    "nested shards": Case(as_nested_shards, None, ("epoch", "part-00002-of-00002.bin: epoch")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_reading_and_editing_keep_it(case: Case, tmp_path: Path) -> None:
    with sd.read_state_dict(case.make(tmp_path), root=case.root) as state:
        assert sorted(state) == ["h.0.b", "h.0.w"]
        assert {*state.others, *state.rest} == set(case.outside)
        assert set(case.metadata) <= state.metadata.keys()
        for edited in (state.select("h.*"), state.select("h.0.b"), state.rename(str)):
            assert edited.others.keys() == state.others.keys()
            assert (edited.rest, edited.metadata) == (state.rest, state.metadata)
            assert edited.config is state.config


def files_in(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("target", WITH_METADATA)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_convert_writes_what_write_writes_and_says_what_it_leaves_out(
    case: Case, target: str, tmp_path: Path
) -> None:
    source, one, two = case.make(tmp_path), tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    done = sd.convert(source, f"{one}/{target}", root=case.root)
    with sd.read_state_dict(source, root=case.root) as state:
        sd.write_state_dict(state, f"{two}/{target}")
        assert set(done.left_out) == {*state.others, *state.rest}
        with sd.read_state_dict(f"{one}/{target}") as back:
            assert back.metadata.keys() >= state.metadata.keys()
            assert sorted(back) == sorted(state)
            assert not back.others
            assert not back.rest
    assert files_in(one) == files_in(two)
    assert set(done.left_out) == set(case.outside)
