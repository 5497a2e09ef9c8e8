from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import pytest

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.sidecar import RECORD
from caten_sd.formats import msgpack as ours
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.state_dict import StateDict


def flax_array(array: Any) -> bytes:
    """Encode as flax.serialization._ndarray_to_bytes does."""
    packed: bytes = msgpack.packb((array.shape, array.dtype.name, array.tobytes("C")))
    return packed


def flax_pack(value: Any) -> Any:
    """Encode what msgpack cannot, as flax.serialization._msgpack_ext_pack does."""
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(1, flax_array(value))
    if isinstance(value, np.generic):
        return msgpack.ExtType(3, flax_array(np.asarray(value)))
    return msgpack.ExtType(2, msgpack.packb((value.real, value.imag)))


def flax_chunked(tree: Any, size: int) -> Any:
    """Chunk arrays over ``size`` bytes as flax.serialization._chunk does."""
    if isinstance(tree, dict):
        return {name: flax_chunked(value, size) for name, value in tree.items()}
    if not isinstance(tree, np.ndarray) or tree.nbytes <= size:
        return tree
    step, flat = max(1, int(size / tree.itemsize)), tree.reshape(-1)
    parts = [flat[at : at + step] for at in range(0, flat.size, step)]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(axis): n for axis, n in enumerate(tree.shape)},
        "chunks": {str(number): part for number, part in enumerate(parts)},
    }


def flax_save(tree: Any, chunk: int = 1 << 30) -> bytes:
    data: bytes = msgpack.packb(flax_chunked(tree, chunk), default=flax_pack, strict_types=True)
    return data


def flax_load(data: bytes) -> Any:
    def unpack(code: int, payload: bytes) -> Any:
        shape, name, buffer = msgpack.unpackb(payload, raw=True)
        dtype = np.dtype(getattr(ml_dtypes, name.decode(), name.decode()))
        array = np.frombuffer(buffer, dtype).reshape(shape)
        return array if code == 1 else array[()]

    return msgpack.unpackb(data, ext_hook=unpack, raw=False)


TREE = {
    "params": {
        "dense": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.zeros(3, ml_dtypes.bfloat16)},
        "embed": {"embedding": np.arange(8, dtype=np.int8).reshape(4, 2)},
    },
    "step": np.int64(7),
    "opt_state": {"0": {"mu": np.ones(3)}},
}


def test_a_train_state_of_flax_gives_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "state.msgpack").write_bytes(flax_save(TREE))
    with read_state_dict(tmp_path / "state.msgpack") as found:
        assert list(found) == ["dense.kernel", "dense.bias", "embed.embedding"]
        np.testing.assert_array_equal(found["dense.kernel"].numpy(), np.arange(6.0).reshape(2, 3))
        assert found["dense.bias"].numpy().dtype == ml_dtypes.bfloat16
    with read_state_dict(tmp_path / "state.msgpack", root="opt_state") as found:
        assert list(found) == ["0.mu"]


def test_found_by_content_whatever_its_name(tmp_path: Path) -> None:
    for name in ("state.bin", "state", "state.npz"):
        (tmp_path / name).write_bytes(flax_save(TREE["params"]))
        with read_state_dict(tmp_path / name) as found:
            assert "dense.kernel" in found


def test_what_is_written_is_what_flax_writes_and_restores(tmp_path: Path) -> None:
    path = tmp_path / "w.msgpack"
    params = TREE["params"]
    flat = {f"{m}.{n}": leaf for m, inner in params.items() for n, leaf in inner.items()}
    write_state_dict(flat, path)
    assert path.read_bytes() == flax_save(params)
    assert flax_load(path.read_bytes())["dense"]["bias"].dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4), (70000,)])
@pytest.mark.parametrize("dtype", ["bool", "u1", "f2", "f4", "c16"])
def test_every_size_of_head(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    array = np.ones(shape, dtype)
    write_state_dict({"k" * 40: array}, tmp_path / "w.msgpack")
    assert (tmp_path / "w.msgpack").read_bytes() == flax_save({"k" * 40: array})


@pytest.mark.parametrize("chunk", [8, 100, 160])
def test_chunked_arrays_are_flaxs_and_stay_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(ours, "CHUNK", chunk)
    monkeypatch.setattr("caten_sd.state.pieces.PIECE", 56)
    array = np.arange(60.0).reshape(3, 4, 5)
    path = tmp_path / "w.msgpack"
    write_state_dict({"a.w": array, "a.small": np.ones(1)}, path)
    assert path.read_bytes() == flax_save({"a": {"w": array, "small": np.ones(1)}}, chunk)
    with read_state_dict(path) as found:
        leaf = found["a.w"]
        assert isinstance(leaf, LazyTensor)
        np.testing.assert_array_equal(leaf.numpy(), array)
        np.testing.assert_array_equal(leaf[1:, 2, ::2].numpy(), array[1:, 2, ::2])


def test_metadata_ties_and_an_order_that_nesting_would_change(tmp_path: Path) -> None:
    w = np.ones(2)
    given = StateDict({"a.w": w, "b": w * 2, "a.v": w * 3, "c": w}, metadata={"step": 3})
    write_state_dict(given, tmp_path / "w.msgpack")
    with read_state_dict(tmp_path / "w.msgpack") as found:
        assert list(found) == list(given)
        assert dict(found.ties) == {"c": "a.w"}
        assert found.metadata == {"step": 3}
    restored = flax_load((tmp_path / "w.msgpack").read_bytes())
    assert list(restored) == ["a", "b", RECORD]
    assert restored[RECORD].dtype == np.uint8


@pytest.mark.parametrize(
    "value", ["{}", 3, None, {"a": 1}, np.zeros(0, "u1"), np.zeros((2, 2), "u1"), np.zeros(2, "f4")]
)
def test_a_record_that_is_not_one_is_refused(tmp_path: Path, value: Any) -> None:
    tree = {"w": np.ones(2), RECORD: value}
    (tmp_path / "w.msgpack").write_bytes(flax_save(tree))
    with pytest.raises(FormatError, match=r"w\.msgpack"):
        read_state_dict(tmp_path / "w.msgpack")


@pytest.mark.parametrize("keys", [("a", "a.b"), ("a.b", "a"), ("a.b.c", "a.b"), (RECORD,)])
def test_a_key_with_no_place_in_the_tree_is_refused(tmp_path: Path, keys: tuple[str, ...]) -> None:
    with pytest.raises(StateDictError, match=r"collides .* reserved; rename it"):
        write_state_dict({key: np.ones(1) for key in keys}, tmp_path / "w.msgpack")


def test_half_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateDictError, match="cannot hold 'w'"):
        write_state_dict({"w": np.ones(2, ml_dtypes.float4_e2m1fn)}, tmp_path / "w.msgpack")


def test_values_beside_the_arrays(tmp_path: Path) -> None:
    tree = {"w": np.ones(2), "n": 3, "c": 1 + 2j, "text": "x", "raw": b"x", "none": None}
    (tmp_path / "w.msgpack").write_bytes(flax_save(tree))
    with read_state_dict(tmp_path / "w.msgpack") as found:
        assert list(found) == ["w"]
        assert found.others["c"] == 1 + 2j
        assert (found.others["n"], found.others["text"], found.others["none"]) == (3, "x", None)


def ext(payload: Any, code: int = 1) -> bytes:
    packed = payload if isinstance(payload, bytes) else msgpack.packb(payload)
    data: bytes = msgpack.packb({"w": msgpack.ExtType(code, packed)})
    return data


F = bytes(24)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x80\x00", "follows its value"),
        (b"\xdf\xff\xff\xff\xff\xa1w", "bytes should follow"),
        (b"\x81\xa1w" + b"\x91" * 200, "100 deep"),
        (b"\x81\xa1w\xdd\xff\xff\xff\xff", "bytes should follow"),
        (b"\x81\xc3\x01", "key .* neither text nor a whole number"),
        (b"\x82\x01\x01\xa11\x01", "'1' is given twice"),
        (b"\x81\xa1\xff\x01", "not UTF-8"),
        (b"\x82\xa1w\x01\xa1w\x01", "given twice"),
        (b"\x81\xa1w\xc1", "never uses"),
        (b"\x81\xa1w\xdb\xff\xff\xff\xff", "a text at byte"),
        (b"\x93\x01\x02\x03", "holds a list"),
        (ext(F, 42), "unknown extension type 42"),
        (ext([[2, 3], "float32", F[:-1]]), "has 23 bytes"),
        (ext([[2, 3], "float32", "text"]), "has no bytes"),
        (ext([[2, -3], "float32", F]), "shape of 'w' is not a list of sizes"),
        (ext([[2.0, 3], "float32", F]), "shape of 'w' is not a list of sizes"),
        (ext([[True, 6], "float32", F]), "shape of 'w' is not a list of sizes"),
        (ext([[1 << 32, 1 << 32], "float32", b""]), "has 0 bytes"),
        (ext([6, "float32", F]), "shape of 'w' is not a list of sizes"),
        (ext([[6], "object", F]), "'object', is unknown"),
        (ext([[6], "float4_e2m1fn", F]), "is unknown"),
        (ext([[6], ["float32"], F]), "is unknown"),
        (ext([[6], "float32"]), "not \\(shape, dtype, bytes\\)"),
        (ext(msgpack.packb([[6], "float32", F]) + b"x"), "not \\(shape, dtype, bytes\\)"),
        (ext([1.0], 2), "complex number 'w'"),
        (ext(msgpack.packb([[6], "float32", F])[:20]), "bytes should follow"),
    ],
)
def test_what_flax_does_not_write_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "w.msgpack").write_bytes(data)
    with pytest.raises(FormatError, match=problem):
        read_state_dict(tmp_path / "w.msgpack")


@pytest.mark.parametrize(
    "change",
    [
        {"shape": {"0": 5}},
        {"shape": {"0": True}},
        {"shape": None},
        {"chunks": {"0": np.ones(2), "2": np.ones(2)}},
        {"chunks": {"0": np.ones(2), "1": np.ones(2, "i8")}},
        {"chunks": {"0": np.ones(4), "1": np.ones(0)}},
        {"chunks": {"0": np.ones(2), "1": 3}},
        {"chunks": {}},
    ],
)
def test_chunks_that_make_no_array_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    whole = {"0": np.ones(2), "1": np.ones(2)}
    tree = {"__msgpack_chunked_array__": True, "shape": {"0": 4}, "chunks": whole}
    path = tmp_path / "w.msgpack"
    path.write_bytes(flax_save({"w": tree}))
    with read_state_dict(path) as found:
        assert found["w"].numpy().tolist() == [1, 1, 1, 1]
    path.write_bytes(flax_save({"w": {**tree, **change}}))
    with pytest.raises(FormatError, match=r"chunks of 'w' .* array of shape"):
        read_state_dict(path)
