from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.errors import CatenError, FormatError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.conversion import convert
from caten_sd.files.sidecar import RECORD_FILE
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.state.state_dict import StateDict


def test_one_array_has_its_files_name(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.arange(3))
    with read_state_dict(tmp_path / "w.npy") as found:
        assert {key: leaf.numpy().tolist() for key, leaf in found.items()} == {"w": [0, 1, 2]}
    write_state_dict({"any": np.ones(2)}, tmp_path / "v.npy")
    assert np.load(tmp_path / "v.npy").tolist() == [1, 1]


def test_one_file_holds_one_array(tmp_path: Path) -> None:
    with pytest.raises(StateDictError, match="has 2; write an"):
        write_state_dict({"a": np.ones(2), "b": np.ones(2)}, tmp_path / "v.npy")


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_one_file_refuses_what_its_header_cannot_name(dtype: Any, tmp_path: Path) -> None:
    with pytest.raises(StateDictError, match=r"'w' \((bfloat16|float8_e5m2)\)"):
        write_state_dict({"w": np.ones(2, dtype)}, tmp_path / "w.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["a\\b", "a%5Cb", "%", "%%25/", "a/b\\c\0"])
def test_a_key_with_characters_of_paths_comes_back_from_a_folder(key: str, tmp_path: Path) -> None:
    write_state_dict({key: np.ones(2), "w": np.zeros(3)}, f"{tmp_path}/w.npy/")
    with read_state_dict(tmp_path / "w.npy") as found:
        assert list(found) == [key, "w"]


def test_a_folder_of_numpys_own_files(tmp_path: Path) -> None:
    for number in range(12):
        np.save(tmp_path / f"layers.{number}.weight.npy", np.full(2, number))
    (tmp_path / "README.md").write_text("arrays")
    with read_state_dict(tmp_path) as found:
        assert len(found) == 12
        assert found["layers.11.weight"].numpy().tolist() == [11, 11]


def test_a_folder_keeps_order_ties_dtypes_metadata_and_odd_keys(tmp_path: Path) -> None:
    w = np.ones((2, 2), ml_dtypes.bfloat16)
    given = StateDict({"z/b": w, "a%2F": np.zeros(2), "tied": w}, metadata={"step": "3"})
    write_state_dict(given, f"{tmp_path}/out.npy/")
    folder = tmp_path / "out.npy"
    assert sorted(path.name for path in folder.iterdir()) == [
        "a%252F.npy",
        RECORD_FILE,
        "z%2Fb.npy",
    ]
    with read_state_dict(folder) as found:
        assert list(found) == ["z/b", "a%2F", "tied"]
        assert found["z/b"].numpy().dtype == w.dtype
        assert found.metadata == {"step": "3"}
        assert dict(found.ties) == {"tied": "z/b"}
    assert np.load(folder / "a%252F.npy").tolist() == [0, 0]


def test_a_folder_is_never_half_replaced(tmp_path: Path) -> None:
    write_state_dict({"w": np.ones(2)}, f"{tmp_path}/out.npy/", metadata={})
    with pytest.raises(FormatError, match="cannot be replaced in one step"):
        write_state_dict({"w": np.zeros(2)}, tmp_path / "out.npy")
    with pytest.raises(StateDictError):
        write_state_dict({"w": np.ones(2), "x": object()}, f"{tmp_path}/new.npy/")
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_folder_that_lacks_an_array_or_has_one_more(tmp_path: Path, gone: bool) -> None:
    folder = tmp_path / "out.npy"
    write_state_dict({"w": np.ones(2), "v": np.ones(2)}, str(folder) + "/")
    if gone:
        (folder / "v.npy").unlink()
    else:
        np.save(folder / "x.npy", np.ones(2))
    with pytest.raises(FormatError, match="'v' is missing" if gone else "'x' is not listed in"):
        read_state_dict(folder)


def test_a_thousand_files_hold_no_handles(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    for number in range(300):
        np.save(tmp_path / f"{number}.npy", np.full(1, number))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (150, limits[1]))
    try:
        with read_state_dict(tmp_path) as found:
            assert sum(int(leaf.numpy()[0]) for leaf in found.values()) == sum(range(300))
            some = found["7"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with pytest.raises(FormatError, match="closed"):
        some.numpy()


def test_a_file_that_changed_since_it_was_opened_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(2))
    np.save(tmp_path / "b.npy", np.ones(2))
    with read_state_dict(tmp_path) as found:
        np.save(tmp_path / "a.npy", np.ones(200))
        with pytest.raises(FormatError, match="the file changed"):
            found["a"].numpy()


def test_objects_of_an_array_come_out_under_their_names(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array({"a": {"w": np.arange(3)}, "b": np.ones(1)}, object))
    expected = np.load(tmp_path / "w.npy", allow_pickle=True).item()
    with read_state_dict(tmp_path / "w.npy") as found:
        assert list(found) == ["a.w", "b"]
        assert found["a.w"].numpy().tolist() == expected["a"]["w"].tolist()
    np.save(tmp_path / "l.npy", np.array([np.arange(3), None], object))
    with read_state_dict(tmp_path / "l.npy") as found:
        assert list(found) == ["0"]


@pytest.mark.parametrize(
    "array", [np.array([{}, None], object), np.zeros(3, [("a", "<f4"), ("b", "<i8")])]
)
def test_an_array_without_a_tensor_is_named_for_what_it_is(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "w.npy", array)
    with pytest.raises(FormatError, match="holds no tensor"):
        read_state_dict(tmp_path / "w.npy")
    (tmp_path / "two").mkdir()
    np.save(tmp_path / "two" / "w.npy", array)
    np.save(tmp_path / "two" / "v.npy", np.ones(2))
    with read_state_dict(f"{tmp_path}/two/") as found:
        assert list(found) == ["v"]
        assert list(found.others) == ["w"]


def test_raw_bfloat16_of_mlx_and_equinox_is_taken_for_it_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    values = np.array([1, 2], ml_dtypes.bfloat16)
    np.save(tmp_path / "w.npy", values)  # numpy writes |V2 or <V2, as both libraries do
    state_dict = read_state_dict(tmp_path / "w.npy")
    for refused in (
        lambda: np.asarray(state_dict["w"]),
        lambda: write_state_dict(state_dict, tmp_path / "w.safetensors"),
    ):
        with pytest.raises(CatenError, match=r"Equinox .*--dtype bf16"):
            refused()
    assert not (tmp_path / "w.safetensors").exists()
    for dtype in ("bf16", {"w": "bf16"}):
        convert(tmp_path / "w.npy", tmp_path / "w.safetensors", dtype=dtype)
        with read_state_dict(tmp_path / "w.safetensors") as found:
            assert found["w"].numpy().tobytes() == values.tobytes()
    with pytest.raises(CatenError, match=r"Equinox .*--dtype bf16"):
        convert(tmp_path / "w.npy", tmp_path / "v.safetensors", dtype="f32")


def test_raw_elements_get_into_a_slot_that_says_what_they_are(tmp_path: Path) -> None:
    values = np.array([1, -2], ml_dtypes.bfloat16)
    np.savez(tmp_path / "w.npz", w=values)
    model = {"w": np.zeros(2, ml_dtypes.bfloat16)}
    with read_state_dict(tmp_path / "w.npz") as found:
        (row,) = plan_load(model, found).rows
        assert "taken for bfloat16" in row.note
        load_state_dict(model, found, strict=True)
        assert model["w"].tolist() == [1, -2]
        for other in (np.float16, np.int16, np.float32):
            assert not plan_load({"w": np.zeros(2, other)}, found).fits
        assert not plan_load({"w": np.zeros(3, ml_dtypes.bfloat16)}, found).fits
