from __future__ import annotations

import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd.errors import CatenError, FormatError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.sidecar import RECORD
from caten_sd.state.leaf import Opaque, spec
from caten_sd.state.state_dict import StateDict


def load(path: Path) -> dict[str, Any]:
    with read_state_dict(path) as state_dict:
        return {key: leaf.numpy().copy() for key, leaf in state_dict.items()}


def rewritten(data: bytes, **patches: bytes) -> bytes:
    """Return the archive with members replaced by name (without .npy)."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, patches.get(name.removesuffix(".npy"), old.read(name)))
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpys_own_files_are_read(tmp_path: Path, save: Any) -> None:
    arrays = {
        "params/dense/kernel": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
        "big": np.arange(4, dtype=">f4"),
        "zero": np.array(7, np.uint8),
        "empty": np.empty((0, 3), np.float16),
        "flags": np.array([True, False]),
        "waves": np.array([1 + 2j], np.complex64),
    }
    save(tmp_path / "w.npz", **arrays)
    found = load(tmp_path / "w.npz")
    assert list(found) == list(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype.newbyteorder("=")


def test_numpy_opens_what_is_written_without_pickle(tmp_path: Path) -> None:
    arrays = {"a/b": np.arange(6, dtype="f4").reshape(2, 3).T, "c": np.array(True)}
    write_state_dict(arrays, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as opened:
        assert opened.files == list(arrays)
        np.testing.assert_array_equal(opened["a/b"], arrays["a/b"])
        assert opened["c"].item() is True


def test_dtypes_that_numpy_lacks_survive_beside_one_small_array(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    given = {
        name: np.arange(5).astype(getattr(ml_dtypes, name))
        for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn")
    }
    write_state_dict(given, path)
    found = load(path)
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()
    with np.load(path, allow_pickle=False) as opened:
        assert opened.files == [*given, RECORD]
        assert opened["bfloat16"].view(ml_dtypes.bfloat16).tolist() == [0, 1, 2, 3, 4]
        assert opened[RECORD].dtype == np.uint8


def test_two_raw_bytes_that_nothing_names_are_never_interpreted(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.zeros(3, ml_dtypes.bfloat16), v=np.ones(2))
    with read_state_dict(tmp_path / "w.npz") as found:
        assert str(spec(found["w"]).dtype) == "unknown 2-byte"
        assert found["v"].numpy().tolist() == [1, 1]
        with pytest.raises(CatenError, match="unknown 2-byte"):
            found["w"].numpy()
        with pytest.raises(StateDictError, match="'w' \\(unknown 2-byte\\)"):
            write_state_dict(found, tmp_path / "w.safetensors")
        write_state_dict(found, tmp_path / "again.npz")
    with read_state_dict(tmp_path / "again.npz") as again:
        assert bytes(again["w"].raw()) == bytes(6)


def test_metadata_and_ties_are_kept(tmp_path: Path) -> None:
    w = np.ones((2, 2))
    given = StateDict({"wte": w, "b": np.zeros(2), "head": w}, metadata={"step": 3, "note": "é"})
    write_state_dict(given, tmp_path / "w.npz")
    with read_state_dict(tmp_path / "w.npz") as found:
        assert dict(found.ties) == {"head": "wte"}
        assert found.metadata == {"step": 3, "note": "é"}
        assert found["head"] is found["wte"]
    with np.load(tmp_path / "w.npz") as opened:
        assert opened.files == ["wte", "b", RECORD]


def test_text_and_dates_lie_beside_the_leaves(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "w.npz",
        w=np.ones(2),
        name=np.array("gpt2"),
        words=np.array(["a", "b"]),
        day=np.array("2024-01-01", "M8[D]"),
    )
    with read_state_dict(tmp_path / "w.npz") as found:
        assert list(found) == ["w"]
        assert found.others["name"] == "gpt2"
        assert isinstance(found.others["words"], Opaque)
        assert isinstance(found.others["day"], Opaque)


def test_same_arrays_same_bytes_each_aligned(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_state_dict({"x": np.ones(3, "f4"), "yy": np.ones(5)}, tmp_path / name)
    data = (tmp_path / "a.npz").read_bytes()
    assert data == (tmp_path / "b.npz").read_bytes()
    assert data.index(np.ones(3, "f4").tobytes()) % 64 == 0
    assert data.index(np.ones(5).tobytes()) % 64 == 0


def test_a_flipped_bit_is_found_when_a_member_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write_state_dict({"w": np.arange(100.0)}, path)
    data = bytearray(path.read_bytes())
    data[data.index(np.arange(100.0).tobytes()) + 80] ^= 1
    path.write_bytes(data)
    with read_state_dict(path) as found:
        assert found["w"][:2].numpy().tolist() == [0, 1]
        with pytest.raises(FormatError, match=r"w.npy: it does not match its checksum"):
            found["w"].numpy()
        with pytest.raises(FormatError, match="checksum"):
            write_state_dict(found, tmp_path / "out.safetensors")


def test_a_compressed_member_is_not_inflated_to_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "w.npz", w=np.zeros(10_000_000))
    inflated = 0
    whole = zlib.decompressobj

    class Counting:
        def __init__(self, *args: Any) -> None:
            self.inner = whole(*args)

        def decompress(self, *args: Any) -> bytes:
            nonlocal inflated
            data = self.inner.decompress(*args)
            inflated += len(data)
            return data

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with read_state_dict(tmp_path / "w.npz") as found:
        assert spec(found["w"]).shape == (10_000_000,)
    assert 0 < inflated < 100_000


@pytest.mark.parametrize("key", ["", "../up", "/abs", "a\\b", "a\0b", RECORD])
def test_a_key_that_cannot_name_a_member_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(StateDictError, match=r"cannot be the name of a member .*; rename"):
        write_state_dict({key: np.ones(1)}, tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []


def npy_of(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[]", "not the JSON"),
        (b"{", "not the JSON"),
        (b'{"colour":1}', "not the JSON"),
        (b'{"dtypes":{"w":"float3"}}', "never writes"),
        (b'{"dtypes":{"w":"float32"}}', "not float32"),
        (b'{"dtypes":{"w":"float4_e2m1fn"},"shapes":{"w":[1000000]}}', "not float4_e2m1fn"),
        (b'{"shapes":{"w":[-1]}}', "never writes"),
        (b'{"ties":{"v":"nothing"}}', "cannot tie 'v'"),
        (b'{"ties":{"w":"w"}}', "cannot tie 'w'"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, text: bytes, problem: str) -> None:
    path = tmp_path / "w.npz"
    write_state_dict(StateDict({"w": np.ones(3, ml_dtypes.bfloat16)}), path)
    record = npy_of(np.frombuffer(text, np.uint8))
    path.write_bytes(rewritten(path.read_bytes(), **{RECORD: record}))
    with pytest.raises(FormatError, match=problem):
        read_state_dict(path)


def test_members_of_objects_and_records_take_no_neighbor_with_them(tmp_path: Path) -> None:
    records = np.zeros(3, [("a", "<f4"), ("b", "<i8", (2,))])
    tensors = np.array({"t": torch.ones(3)}, object)
    for save in (np.savez, np.savez_compressed):
        save(
            tmp_path / "w.npz",
            w=np.ones(2),
            config=np.array({"lr": 1}, object),
            tree=np.array({"x": np.arange(3)}, object),
            ragged=np.array([np.arange(2), None], object),
            tensors=tensors,
            records=records,
        )
        with read_state_dict(tmp_path / "w.npz") as found:
            given = {key: leaf.numpy().tolist() for key, leaf in found.items()}
            assert given == {
                "w": [1, 1],
                "tree.x": [0, 1, 2],
                "ragged.0": [0, 1],
                "tensors.t": [1, 1, 1],
            }
            assert sorted(found.others) == ["config", "ragged.1", "records"]


def test_a_hostile_or_damaged_pickle_of_a_member_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.array([os.getcwd], object), x=np.ones(2))
    data = (tmp_path / "w.npz").read_bytes()
    with read_state_dict(tmp_path / "w.npz") as found:
        assert list(found) == ["x"]

    class Call:
        def __reduce__(self) -> Any:
            return os.getcwd, ()

    np.savez(tmp_path / "w.npz", w=np.array([Call()], object), x=np.ones(2))
    with pytest.raises(FormatError, match=r"asks to call \w+\.getcwd"):
        read_state_dict(tmp_path / "w.npz")
    (tmp_path / "w.npz").write_bytes(data.replace(b"getcwd", b"getcwx"))
    with pytest.raises(FormatError, match="checksum"):
        read_state_dict(tmp_path / "w.npz")


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(StateDictError, match="cannot hold"):
        write_state_dict({"w": np.array([{}], object)}, tmp_path / "v.npz")


@pytest.mark.parametrize("change", [b"\0", b""])
def test_a_second_member_of_the_same_header_is_checked_as_the_first(
    change: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.ones(4, "f4"), b=np.zeros(4, "f4"), c=np.ones(4, "f4"))
    member = npy_of(np.zeros(4, "f4"))
    path.write_bytes(rewritten(path.read_bytes(), b=member + change if change else member[:-1]))
    with pytest.raises(FormatError, match=r"b\.npy: it (has 1 byte after|is 1 byte short)"):
        read_state_dict(path)


def test_arrays_of_few_headers_are_those_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    given = {f"h.{n}": np.full((n % 3, n % 2 + 1), n, ("f4", ">i2")[n % 5 == 0]) for n in range(60)}
    np.savez(path, **given)
    with read_state_dict(path) as found, np.load(path) as theirs:
        assert list(found) == theirs.files
        for key in given:
            np.testing.assert_array_equal(found[key].numpy(), theirs[key])


def test_two_members_for_one_key_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.ones(2))
    with zipfile.ZipFile(tmp_path / "w.npz", "a") as archive:
        archive.writestr("w", archive.read("w.npy"))
    with pytest.raises(FormatError, match="two members for the key 'w'"):
        read_state_dict(tmp_path / "w.npz")
