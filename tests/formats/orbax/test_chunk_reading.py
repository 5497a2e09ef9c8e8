"""Chunks: a slice reads those that it touches, and one that is absent is missing or filled."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd
from caten_sd.formats.orbax.crc32c import crc32c
from tests.formats.orbax.ocdbt_made import metadata

W = np.arange(24, dtype="f4").reshape(4, 6)


def written(folder: Path, data: dict[str, bytes], /, *, sparse: bool = False, **said: Any) -> Path:
    """Write an array of zarr 2, or of zarr 3 if it says its data_type."""
    name = "zarr.json" if "data_type" in said else ".zarray"
    plain: dict[str, Any] = {"shape": [4, 6], "chunks": [2, 3], "dtype": "<f4"}
    (folder / "w").mkdir(exist_ok=True)
    (folder / "w" / name).write_text(json.dumps({**plain, "fill_value": None, **said}))
    for key, chunk in data.items():
        path = folder / "w" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chunk)
    text = metadata(["w"], store_array_data_equal_to_fill_value=not sparse)
    (folder / "_METADATA").write_bytes(text)
    return folder


def pieces(array: Any = W, rows: int = 2, columns: int = 3) -> dict[str, bytes]:
    return {
        f"{r}.{c}": array[rows * r : rows * r + rows, columns * c : columns * c + columns].tobytes()
        for r in range(array.shape[0] // rows)
        for c in range(array.shape[1] // columns)
    }


def read(folder: Path) -> Any:
    with sd.read_state_dict(folder) as state:
        return state["w"].numpy()


def test_a_slice_reads_only_the_chunks_that_it_touches(tmp_path: Path) -> None:
    others = dict.fromkeys(("0.0", "0.1", "1.0"), b"not of this length")
    folder = written(tmp_path, {**pieces(), **others})
    with sd.read_state_dict(folder) as state:
        assert state["w"][2:, 3:].numpy().tolist() == W[2:, 3:].tolist()
        assert state["w"][3, 4].numpy() == W[3, 4]
        assert state["w"][2:4][1:, ::5][:, 1:].numpy().tolist() == [[23.0]]
        with pytest.raises(sd.FormatError, match=r"w/0\.1.*24 bytes has 18"):
            state["w"][1:, 3:].numpy()


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param({"id": "gzip"}, id="gzip"),
        pytest.param({"id": "zlib", "level": 1}, id="zlib"),
    ],
)
def test_packed_chunks_are_unpacked(pack: dict[str, Any], tmp_path: Path) -> None:
    packed = gzip.compress if pack["id"] == "gzip" else zlib.compress
    chunks = {key: packed(data) for key, data in pieces().items()}
    found = read(written(tmp_path, chunks, compressor=pack))
    assert found.tolist() == W.tolist()
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (zlib.compress(bytes(23)), "23 and not 24"),
        (zlib.compress(bytes(1 << 20)), "more than 24"),
        (zlib.compress(bytes(24))[:-3], "too soon"),
        (b"", "too soon"),
        (b"not packed", "cannot be unpacked"),
    ],
)
def test_a_packed_chunk_of_another_size_is_refused(data: bytes, named: str, tmp_path: Path) -> None:
    folder = written(tmp_path, {**pieces(), "0.0": data}, compressor={"id": "zlib"})
    with pytest.raises(sd.FormatError, match=named):
        read(folder)


@pytest.mark.parametrize("fill", [None, 0, 1.5, "NaN", "-Infinity", "AACAPw=="])
def test_an_absent_chunk_has_the_fill_value_where_it_may_be_absent(
    fill: Any, tmp_path: Path
) -> None:
    chunks = pieces()
    del chunks["0.1"]
    value = {None: 0, "NaN": np.nan, "-Infinity": -np.inf, "AACAPw==": 1}.get(fill, fill)
    found = read(written(tmp_path, chunks, sparse=True, fill_value=fill))
    assert np.array_equal(found[:2, 3:], np.full((2, 3), value, "f4"), equal_nan=True)
    assert found[2:].tolist() == W[2:].tolist()
    found[0, 3] = 7  # what is loaded can be written to


@pytest.mark.parametrize(
    ("key", "place"), [("0.0", "0:2, 0:4"), ("1.1", "2:4, 4:6")], ids=["whole", "cut off"]
)
def test_a_missing_chunk_is_named_with_its_array_and_its_place(
    key: str, place: str, tmp_path: Path
) -> None:
    chunks = {name: bytes(32) for name in ("0.0", "0.1", "1.0", "1.1") if name != key}
    with pytest.raises(sd.FormatError) as caught:
        sd.read_state_dict(written(tmp_path, chunks, chunks=[2, 4]))
    said = f"the array 'w' of [4, 6] has no values at [{place}], since its chunk w/{key} is missing"
    assert said in str(caught.value)
    assert "w/.zarray" in str(caught.value)


def test_an_array_of_nothing_but_the_fill_value_is_read(tmp_path: Path) -> None:
    found = read(written(tmp_path, {}, sparse=True, chunks=[4, 6]))
    assert found.tolist() == np.zeros((4, 6)).tolist()
    assert found.flags.writeable


@pytest.mark.parametrize("size", [[1 << 40, 1 << 10], [1 << 62, 1 << 62], [1 << 14, 1 << 11]])
def test_fill_values_that_no_stored_byte_speaks_for_are_refused(
    size: list[int], tmp_path: Path
) -> None:
    with pytest.raises(sd.FormatError, match="none is stored"):
        read(written(tmp_path, {}, sparse=True, shape=size, chunks=size))


def test_absent_chunks_of_many_arrays_are_counted_together(tmp_path: Path) -> None:
    names = [f"w{n}" for n in range(100)]
    said = {"shape": [1 << 20], "chunks": [1 << 20], "dtype": "<f4", "fill_value": None}
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / ".zarray").write_text(json.dumps(said))
    text = metadata(names, store_array_data_equal_to_fill_value=False)
    (tmp_path / "_METADATA").write_bytes(text)
    with pytest.raises(sd.FormatError, match=r"w16/\.zarray.* none is stored"):
        sd.read_state_dict(tmp_path)


def test_an_empty_array_is_read_whatever_its_other_axes_are(tmp_path: Path) -> None:
    found = read(written(tmp_path, {}, shape=[0, 1 << 40], chunks=[1, 1]))
    assert found.shape == (0, 1 << 40)


def test_a_million_chunks_that_may_be_absent_are_not_looked_for(tmp_path: Path) -> None:
    folder = written(tmp_path, {}, sparse=True, shape=[1 << 40, 1], chunks=[1, 1])
    with pytest.raises(sd.FormatError):
        sd.read_state_dict(folder)


def zarr3(**codec: Any) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": [4, 6]}}
    within = {
        "chunk_shape": [2, 3],
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, "crc32c"],
        **codec,
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "data_type": "float32",
        "chunk_grid": grid,
        "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "sharding_indexed", "configuration": within}],
    }


@pytest.mark.parametrize(
    ("chunks", "side", "named"),
    [({"c/0/0": bytes(20)}, 1 << 16, "truncated or damaged"), ({}, 1 << 10, "64 MB")],
)
def test_many_chunks_within_one(chunks: Any, side: int, named: str, tmp_path: Path) -> None:
    said = zarr3(chunk_shape=[1, 1])
    said["chunk_grid"]["configuration"]["chunk_shape"] = [side, side]
    with pytest.raises(sd.FormatError, match=named):
        read(written(tmp_path, chunks, sparse=True, **said, shape=[side, side]))


def with_index(pairs: list[tuple[int, int]], data: bytes, first: bool = False) -> bytes:
    text = b"".join(a.to_bytes(8, "little") + b.to_bytes(8, "little") for a, b in pairs)
    index = text + crc32c(text).to_bytes(4, "little")
    return index + data if first else data + index


PAIRS = [(24 * n, 24) for n in range(4)]
DATA = b"".join(pieces().values())


@pytest.mark.parametrize("first", [False, True])
def test_chunks_in_a_chunk_are_found_by_its_index(first: bool, tmp_path: Path) -> None:
    pairs = [(start + 68 * first, size) for start, size in PAIRS]
    said = zarr3(index_location="start" if first else "end")
    folder = written(tmp_path, {"c/0/0": with_index(pairs, DATA, first)}, **said)
    assert read(folder).tolist() == W.tolist()


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([*PAIRS[:3], (1 << 60, 24)], "short"),
        ([*PAIRS[:3], (72, 1 << 63)], "short"),
        ([*PAIRS[:3], (72, 23)], "24 bytes has 23"),
        (
            [*PAIRS[:3], (2**64 - 1, 2**64 - 1)],
            r"'w' of \[4, 6\] has no values at \[2:4, 3:6\], since its chunk 3 within w/c/0/0 is",
        ),
        (PAIRS[:3], "checksum"),
    ],
)
def test_an_index_that_cannot_be_is_refused(
    pairs: list[tuple[int, int]], named: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, {"c/0/0": with_index(pairs, DATA)}, **zarr3())
    with pytest.raises(sd.FormatError, match=named):
        read(folder)


def test_a_chunk_with_a_checksum_is_compared_with_it(tmp_path: Path) -> None:
    codecs = [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}]
    data = W.astype(">f4").tobytes()
    said = {**zarr3(), "codecs": codecs}
    folder = written(tmp_path, {"c/0/0": data + crc32c(data).to_bytes(4, "little")}, **said)
    assert read(folder).tolist() == W.tolist()
    written(tmp_path, {"c/0/0": data + bytes(4)}, **said)
    with pytest.raises(sd.FormatError, match="checksum"):
        read(folder)


@pytest.mark.parametrize("name", ["int4", "float4_e2m1fn", "uint2"])
def test_elements_of_less_than_a_byte_take_one_each(name: str, tmp_path: Path) -> None:
    dtype = getattr(ml_dtypes, name)
    array = np.ones((4, 6), dtype)
    folder = written(tmp_path, {"0.0": array.tobytes()}, dtype=name, chunks=[4, 6])
    with sd.read_state_dict(folder) as state:
        assert str(state["w"].dtype) == name
        assert np.array_equal(state["w"].numpy(), array)
        assert np.array_equal(state["w"][1:, 2].numpy(), array[1:, 2])


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"dtype": "|O"}, "dtype"),
        ({"dtype": "<f3"}, "dtype"),
        ({"dtype": [["a", "<f4"]]}, "dtype"),
        ({"dtype": "float6_e2m3fn"}, "dtype"),
        ({"compressor": {"id": "blosc"}}, "codec blosc"),
        ({"compressor": []}, "codec"),
        ({"filters": [{"id": "delta"}]}, "filter"),
        ({"order": "A"}, "order"),
        ({"dimension_separator": "-"}, "separator"),
        ({"shape": [4, -6]}, "shape"),
        ({"shape": [True, 6]}, "shape"),
        ({"shape": "46"}, "shape"),
        ({"chunks": [0, 3]}, "chunks"),
        ({"chunks": [2]}, "chunks"),
        ({"chunks": [5, 3]}, "chunks"),
    ],
)
def test_metadata_of_zarr_2_that_is_not_known_is_refused(
    said: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(sd.FormatError, match=named):
        sd.read_state_dict(written(tmp_path, pieces(), **said))


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"node_type": "group"}, "node_type"),
        ({"data_type": "r16"}, "dtype"),
        ({"chunk_grid": {"name": "rectilinear"}}, "chunk_grid"),
        ({"chunk_grid": 3}, "chunk_grid"),
        ({"chunk_key_encoding": {"name": "x"}}, "chunk_key_encoding"),
        ({"codecs": []}, "codecs"),
        ({"codecs": [{"name": "transpose"}]}, "codec"),
        ({"codecs": [{"name": "bytes"}, {"name": "blosc"}]}, "blosc"),
        ({"codecs": [{"name": "bytes"}] * 99}, "codecs"),
        (zarr3(chunk_shape=[3, 3]), "consist"),
        (zarr3(chunk_shape=[0, 3]), "chunks"),
        (zarr3(codecs=zarr3()["codecs"]), "in another"),
        (zarr3(index_codecs=["bytes", "gzip"]), "index"),
        (zarr3(index_location="middle"), "index_location"),
    ],
)
def test_metadata_of_zarr_3_that_is_not_known_is_refused(
    said: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(sd.FormatError, match=named):
        sd.read_state_dict(written(tmp_path, {}, **{**zarr3(), **said}))


def test_a_large_tensor_in_one_packed_chunk_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.zeros((1000, 1500), "f4")
    chunk = {"0.0": zlib.compress(array.tobytes())}
    said = {"shape": [1000, 1500], "chunks": [1000, 1500], "compressor": {"id": "zlib"}}
    written(tmp_path, chunk, **said)
    calls = []
    from caten_sd.formats.orbax import chunk_codecs

    def counted(*given: Any) -> Any:
        calls.append(given)
        return chunk_codecs._unpack_deflated(*given)

    monkeypatch.setitem(chunk_codecs.CODECS, "zlib", counted)
    with sd.read_state_dict(tmp_path) as state:
        sd.write_state_dict(state, tmp_path / "a.safetensors")
    assert len(calls) == 1
