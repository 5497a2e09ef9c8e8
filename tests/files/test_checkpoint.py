"""The verbs over files: read lazily, write atomically, whatever the format."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd import (
    CatenError,
    FormatError,
    StateDict,
    StateDictError,
    get_state_dict,
    read_state_dict,
    write_state_dict,
)
from caten_sd.formats.safetensors.one_file import Safetensors

W = np.arange(6, dtype="f4").reshape(2, 3)
B = np.arange(2, dtype="f8")
SUFFIXES = [".safetensors", ".npz", ".pt", ".msgpack"]


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"w{request.param}"


def values(state: Any) -> dict[str, Any]:
    return {key: np.asarray(leaf).tolist() for key, leaf in state.items()}


def test_what_was_written_is_read(path: Path) -> None:
    write_state_dict({"b": B, "a.weight": W}, path)
    with read_state_dict(path) as state:
        assert values(state) == {"b": B.tolist(), "a.weight": W.tolist()}
        assert state.paths["a.weight"] == ["a", "weight"]


def test_a_path_may_be_text_or_any_path(path: Path) -> None:
    write_state_dict({"w": W}, str(path))
    for spelling in (str(path), path):
        assert values(read_state_dict(spelling)) == {"w": W.tolist()}


def test_leaves_of_torch_and_of_files_are_written(path: Path, tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    write_state_dict(get_state_dict(module), path)
    again = tmp_path / f"again{path.suffix}"
    with read_state_dict(path) as state:
        write_state_dict(state, again)
    assert values(read_state_dict(again)) == {
        key: leaf.tolist() for key, leaf in module.state_dict().items()
    }


def test_a_file_is_written_over_itself(path: Path) -> None:
    write_state_dict({"w": W, "b": B}, path)
    state = read_state_dict(path)
    write_state_dict({"w": state["w"], "c": state["b"]}, path)
    assert values(read_state_dict(path)) == {"w": W.tolist(), "c": B.tolist()}


def test_reading_loads_no_data(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    big = np.lib.stride_tricks.as_strided(np.zeros(1, "f4"), (1 << 24,), (0,))
    write_state_dict({"w": big}, path)
    state = read_state_dict(path)
    assert state["w"].shape == (1 << 24,)
    assert state["w"][5:7].numpy().tolist() == [0, 0]


def test_a_closed_state_dict_keeps_what_was_read(path: Path) -> None:
    write_state_dict({"w": W, "b": B}, path)
    with read_state_dict(path) as state:
        held = np.asarray(state["w"])
    assert held.tolist() == W.tolist()


def test_metadata_is_kept_and_the_callers_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    given = MappingProxyType({"w": W})
    state = StateDict(given, metadata={"layout": "hf-gpt2"})
    write_state_dict(state, path, metadata={"step": "3"})
    assert read_state_dict(path).metadata.items() >= {"layout": "hf-gpt2", "step": "3"}.items()
    assert state.metadata == {"layout": "hf-gpt2"}


def test_a_format_may_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write_state_dict({"w": W}, path, format=Safetensors())
    assert values(read_state_dict(path, format=Safetensors())) == {"w": W.tolist()}
    assert read_state_dict(path).origin == "safetensors"


def test_a_root_is_chosen_where_several_trees_could_be_the_model(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"model": {"fc.w": torch.zeros(1)}, "ema": {"fc.w": torch.ones(1)}, "step": 3}, path)
    with pytest.raises(FormatError, match="2 trees in it could be the model"):
        read_state_dict(path)
    state = read_state_dict(path, root="ema")
    assert values(state) == {"fc.w": [1]}
    assert state.origin.endswith("its tree 'ema'")


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"w": W, 3: B}, StateDictError, "make every key a string"),
        ([("w", W)], StateDictError, "not a list"),
        ({"w": "text"}, StateDictError, "'w'"),
        ({"w": np.array([None])}, StateDictError, "'w'"),
        ({"w": np.array(["text"])}, StateDictError, "'w'"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(
    state: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(error, match=message):
        write_state_dict(state, path)
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", [path.name])


class Unreadable:
    """A leaf whose data fails when it is wanted."""

    shape, dtype = (2,), np.dtype("f4")


@pytest.fixture
def unreadable() -> type:
    from caten_sd.extend import as_array, spec
    from caten_sd.state.dtype import DTYPES
    from caten_sd.state.leaf import Numpy, spec_of

    class Failing(Unreadable):
        pass

    spec.register(Failing)(lambda leaf: spec_of(leaf.shape, DTYPES["float32"]))

    @as_array.register(Numpy, Failing)
    def fail(kind: Numpy, leaf: Failing, /) -> Any:
        raise OSError("the network is gone")

    return Failing


def test_a_leaf_that_fails_half_way_leaves_the_old_file(unreadable: type, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(FormatError, match="the network is gone"):
        write_state_dict({"a": W, "b": unreadable()}, path)
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", [path.name])


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.pt", "there is no such file"), ("empty", "no file in it makes it a checkpoint")],
)
def test_what_is_not_there_is_an_error_that_names_it(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=message) as caught:
        read_state_dict(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


ODD = ["w.safetensors", "w.npz", "w.gguf", "w.npy/", "w.safetensors/", "w.pt", "w.dcp/"]
REFUSED = {("a\ud800", name) for name in ODD[:5]} | {("a\0b", "w.npz")}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("key", ["a\ud800", "a\0b", "\x1b[2J", "\u202e\u2028"])
def test_an_odd_key_is_written_and_read_or_refused_by_name(
    name: str, key: str, tmp_path: Path
) -> None:
    target, state_dict = f"{tmp_path}/{name}", {key: np.ones(2, np.float32)}
    if (key, name) in REFUSED:
        with pytest.raises(CatenError, match="rename it") as caught:
            write_state_dict(state_dict, target)
        assert repr(key) in str(caught.value)
        assert not any(tmp_path.iterdir())
        return
    write_state_dict(state_dict, target)
    with read_state_dict(target) as found:
        assert list(found) == [key]
        assert found[key].numpy().tolist() == [1, 1]


@pytest.mark.parametrize("name", ["a\0b.npz", "\ud800.npz", "a\0b/", "a\0b.npy/", "a\0b.dcp"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="choose another name"):
        write_state_dict({"w": np.zeros(1)}, f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == []
