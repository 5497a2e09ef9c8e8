"""``save`` and ``load``: what two verbs do, with the options of both and no others."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import caten_sd as sd


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.npz", "w.msgpack", "w.gguf", "w/"])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    ours, theirs = linear(0), linear(1)
    sd.save(ours, f"{tmp_path}/{name}")
    assert sd.load(theirs, f"{tmp_path}/{name}", strict=True) is theirs
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


def test_other_libraries_read_what_is_saved_and_save_what_is_loaded(tmp_path: Path) -> None:
    model = linear()
    sd.save(model, tmp_path / "w.safetensors", metadata={"author": "me"}, digests=True)
    theirs = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert torch.equal(theirs["weight"], model.weight)
    torch.save({"model": linear(1).state_dict(), "ema": model.state_dict()}, tmp_path / "w.pt")
    sd.load(model, tmp_path / "w.pt", root="model", assign=True)
    assert torch.equal(model.weight, linear(1).weight)


def test_the_file_is_closed_and_what_was_adopted_stays(tmp_path: Path) -> None:
    sd.save({"w": torch.ones(4)}, tmp_path / "w.safetensors")
    handles = len(os.listdir("/proc/self/fd"))
    model = {"w": torch.zeros(4)}
    sd.load(model, tmp_path / "w.safetensors")
    assert len(os.listdir("/proc/self/fd")) == handles
    sd.load(model, tmp_path / "w.safetensors", assign=True)
    assert model["w"].sum() == 4
    del model["w"]  # and with it the map of the file
    assert len(os.listdir("/proc/self/fd")) == handles
    with pytest.raises(sd.LoadError):
        sd.load({"v": torch.zeros(4)}, tmp_path / "w.safetensors")
    assert len(os.listdir("/proc/self/fd")) == handles


def test_a_training_state_resumes(tmp_path: Path) -> None:
    def training(seed: int, step: int) -> sd.TrainingState:
        model = linear(seed)
        return sd.TrainingState(model, torch.optim.AdamW(model.parameters()), step=step)

    ours, theirs = training(0, 7), training(1, 0)
    ours.model(torch.ones(3)).sum().backward()
    ours.optimizer.step()
    sd.save(ours, tmp_path / "run.safetensors")
    assert sd.load(theirs, tmp_path / "run.safetensors", strict=True) is theirs
    assert theirs.step == 7
    assert sd.digest(sd.get_state_dict(ours)) == sd.digest(sd.get_state_dict(theirs))


MINE = sd.layout.Layout("mine", [sd.layout.Row("w", "kernel", sd.layout.Transpose())])


def test_a_layout_is_written_and_read(tmp_path: Path) -> None:
    path, model = tmp_path / "w.npz", {"w": np.arange(6.0).reshape(2, 3)}
    sd.save(model, path, layout=MINE, from_layout=MINE.canonical)
    with np.load(path) as file:
        assert file["kernel"].shape == (3, 2)
    again = {"w": np.zeros((2, 3))}
    sd.load(again, path, layout=MINE.canonical, from_layout=MINE, strict=True)
    assert (again["w"] == model["w"]).all()
    with pytest.raises(sd.LayoutError, match=r"'mine', and no layout .* name that with layout="):
        sd.load(again, path, from_layout=MINE)
    with pytest.raises(sd.LayoutError, match=r"'mine', and no layout .* name that with layout="):
        sd.save(model, path, from_layout=MINE)
    with pytest.raises(sd.LayoutError, match=r"'mine', and no layout .* --to"):
        sd.convert(path, path, from_layout="mine")


def test_shards_are_of_the_size_that_is_asked_for(tmp_path: Path) -> None:
    sd.save({"a": torch.ones(9), "b": torch.ones(9)}, f"{tmp_path}/s/", max_shard_size=40)
    assert len([*(tmp_path / "s").glob("*.safetensors")]) == 2


def test_an_unknown_option_names_the_verb(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"save\(\).*strikt"):
        sd.save(linear(), tmp_path / "w.npz", strikt=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"load\(\).*strikt"):
        sd.load(linear(), tmp_path / "w.npz", strikt=True)  # type: ignore[call-arg]


def options(*verbs: object) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for verb in verbs:
        found |= inspect.signature(verb).parameters  # type: ignore[arg-type]
    keywords = {name: each for name, each in found.items() if each.kind is each.KEYWORD_ONLY}
    return {name: each.default for name, each in keywords.items()}


def test_the_options_are_those_of_the_two_verbs() -> None:
    layouts = {"layout": None, "from_layout": None}
    saved = options(sd.get_state_dict, sd.write_state_dict)
    assert options(sd.save) == {**saved, **layouts, "max_shard_size": None}
    assert options(sd.load) == {**options(sd.read_state_dict, sd.load_state_dict), **layouts}


def test_a_model_in_place_of_a_state_dict_is_told_of_both() -> None:
    with pytest.raises(sd.StateDictError, match=r"save\(obj, path\) and load\(obj, path\)"):
        sd.write_state_dict(linear(), "w.npz")  # type: ignore[arg-type]
