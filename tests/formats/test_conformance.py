"""One suite for every format that is written: a new file in formats/ is tested by existing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd.errors import CatenError, FormatError, StateDictError
from caten_sd.files.catalog import formats
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import Format, write
from caten_sd.state.backing import FileBacking
from caten_sd.state.digest import digest
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict

READ_ONLY = {"torch legacy", "torch export", "folder", "archive"}
NEVER_REPLACED = {"npy folder"}

COMPLEX = {"complex64", "complex128"}
UNSIGNED = {"uint64", "uint32", "uint16", "uint8"}
NARROW = {name for name, dtype in DTYPES.items() if dtype.kind == "float" and dtype.bits <= 8}
PACKED = {name for name, dtype in DTYPES.items() if dtype.bits < 8}
# What a format cannot store, by its own definition; it must say so and name the key.
REFUSED = {
    "safetensors": {"complex128"},
    "sharded": {"complex128"},
    "msgpack": PACKED,
    "gguf": {"bool"} | COMPLEX | UNSIGNED | NARROW,
    "torch zip": PACKED,
    "dcp": PACKED,
}
ARRAYS = {
    name for name, dtype in DTYPES.items() if dtype.bits != 6
}  # numpy has the others unpacked


class Target(NamedTuple):
    """A format and where it writes."""

    format: Format
    path: str

    def write(self, state_dict: Any, **options: Any) -> None:
        write_state_dict(state_dict, self.path, format=self.format, **options)

    def load(self) -> dict[str, Any]:
        with read_state_dict(self.path) as found:
            return {key: leaf.numpy().copy() for key, leaf in found.items()}

    def contents(self) -> dict[str, bytes]:
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return {str(f.relative_to(path.parent)): f.read_bytes() for f in files if f.is_file()}


def writable() -> list[Format]:
    return [each for each in formats() if each.name not in READ_ONLY and not each.one_leaf]


@pytest.fixture(params=writable(), ids=lambda each: each.name)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    suffix = request.param.suffixes[0]
    name = f"model{suffix.rstrip('/')}" if suffix != ".index.json" else "model"
    return Target(request.param, str(tmp_path / "here" / name))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()


def replaced(target: Target) -> None:
    if target.format.name in NEVER_REPLACED:
        pytest.skip("it refuses to replace what is there, as its own test shows")


def equal(found: dict[str, Any], given: dict[str, Any]) -> None:
    assert list(found) == list(given)
    for key, array in given.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        assert found[key].tobytes() == np.ascontiguousarray(array).tobytes(), key


def model(rows: int = 8) -> dict[str, Any]:
    """Keys that nesting would not reorder, in no alphabetical order."""
    shapes = {"wte.weight": (rows, 6), "h.0.mlp.w": (6, 4), "h.0.mlp.b": (4,), "a.weight": (2, 3)}
    return {
        key: np.arange(np.prod(shape), dtype="f4").reshape(shape) + number
        for number, (key, shape) in enumerate(shapes.items())
    }


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_a_dtype_survives_bit_for_bit_or_is_refused(target: Target, name: str) -> None:
    dtype = DTYPES[name]
    bits = np.random.default_rng(0).integers(0, 256, 6 * max(dtype.itemsize, 1), np.uint8)
    bits = bits % 2 if name == "bool" else bits & 15 if dtype.bits == 4 else bits
    given = {"w": bits.view(numpy_dtype(dtype)).reshape(2, 3)}
    if name in REFUSED.get(target.format.name, ()):
        with pytest.raises(StateDictError, match="'w'"):
            target.write(given)
        assert os.listdir(Path(target.path).parent) == []
    else:
        target.write(given)
        equal(target.load(), given)


def test_order_is_kept(target: Target) -> None:
    target.write(model())
    equal(target.load(), model())


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (1, 1, 1), (7, 5)])
def test_odd_shapes(target: Target, shape: tuple[int, ...]) -> None:
    given = {"w": np.ones(shape, "f4"), "v": np.ones(3, "f2")}
    target.write(given)
    equal(target.load(), given)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="f4").reshape(4, 6).T,
        np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)),
        np.arange(24, dtype="f4").reshape(4, 6)[::2, 1::2],
        np.arange(6, dtype="f4")[::-1],
        np.broadcast_to(np.arange(3, dtype="f4"), (4, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(24).astype(ml_dtypes.bfloat16).reshape(4, 6).T,
    ],
    ids=["transposed", "fortran", "strided", "reversed", "broadcast", "big-endian", "bf16"],
)
def test_arrays_that_are_not_contiguous(target: Target, array: Any) -> None:
    target.write({"w": array})
    equal(target.load(), {"w": array.astype(array.dtype.newbyteorder("="))})


def test_tensors_of_torch(target: Target) -> None:
    w = torch.arange(12, dtype=torch.bfloat16).reshape(3, 4)
    target.write({"w": w.T, "v": w[1:, ::2], "p": torch.nn.Parameter(torch.ones(2))})
    with read_state_dict(target.path) as found:
        torch.testing.assert_close(found["w"].torch(), w.T, rtol=0, atol=0)
        torch.testing.assert_close(found["v"].torch(), w[1:, ::2], rtol=0, atol=0)


@pytest.mark.parametrize("piece", [7, 64])
def test_tensors_of_many_pieces(
    target: Target, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("caten_sd.state.pieces.PIECE", piece)
    target.write(model(40))
    equal(target.load(), model(40))


def test_ties_are_stored_once_and_kept(target: Target) -> None:
    given = model(2000)
    target.write(StateDict({**given, "lm_head.weight": given["wte.weight"]}))
    assert sum(map(len, target.contents().values())) < 1.5 * given["wte.weight"].nbytes
    with read_state_dict(target.path) as found:
        assert dict(found.ties) == {"lm_head.weight": "wte.weight"}
        np.testing.assert_array_equal(found["lm_head.weight"].numpy(), given["wte.weight"])


def test_metadata_is_kept(target: Target) -> None:
    target.write(StateDict(model(), metadata={"caten_sd.layout": "hf-gpt2"}), metadata={"é": "ö"})
    with read_state_dict(target.path) as found:
        assert {"caten_sd.layout": "hf-gpt2", "é": "ö"}.items() <= dict(found.metadata).items()


def test_same_state_same_bytes(target: Target, tmp_path: Path) -> None:
    state = StateDict(model(), metadata={"a": "1", "b": "2"})
    target.write(state)
    first = target.contents()
    shutil.rmtree(tmp_path / "here")
    (tmp_path / "here").mkdir()
    target.write(state)
    assert target.contents() == first


def test_the_digest_is_that_of_every_container(target: Target) -> None:
    target.write(model())
    with read_state_dict(target.path) as found:
        assert digest(found) == digest(StateDict(model()))


def test_it_is_found_by_content(target: Target, tmp_path: Path) -> None:
    target.write(model())
    Path(target.path).rename(tmp_path / "anything.xyz")
    with read_state_dict(tmp_path / "anything.xyz") as found:
        assert set(found) == set(model())


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the bytes that are read or handed out, whatever they are mapped with."""
    counts: list[int] = []
    view, read = FileBacking.view, FileBacking.read

    def counted_view(self: FileBacking, start: int, count: int) -> memoryview:
        counts.append(count)
        return view(self, start, count)

    def counted_read(self: FileBacking, start: int, count: int) -> bytes:
        counts.append(count)
        return read(self, start, count)

    monkeypatch.setattr(FileBacking, "view", counted_view)
    monkeypatch.setattr(FileBacking, "read", counted_read)
    return counts


def test_opening_reads_headers_and_a_slice_its_rows(target: Target, touched: list[int]) -> None:
    given = {f"w{n}": np.random.default_rng(n).random((8192, 64)) for n in range(8)}
    whole = sum(array.nbytes for array in given.values())
    target.write(given)
    touched.clear()
    with read_state_dict(target.path) as found:
        assert spec(found["w3"]).shape == (8192, 64)
        assert sum(touched) < whole / 16
        touched.clear()
        np.testing.assert_array_equal(found["w3"][100:102].numpy(), given["w3"][100:102])
        np.testing.assert_array_equal(found["w5"][7].numpy(), given["w5"][7])
        np.testing.assert_array_equal(found["w5"][10:20:5].numpy(), given["w5"][10:20:5])
        assert sum(touched) < whole / 160


def test_streaming_reads_the_same(target: Target) -> None:
    target.write(model())
    with read_state_dict(target.path, streaming=True) as found:
        equal({key: leaf.numpy() for key, leaf in found.items()}, model())


def test_closing_ends_reading_and_leaves_arrays(target: Target) -> None:
    target.write(model())
    found = read_state_dict(target.path)
    array, part = found["wte.weight"].numpy(), found["wte.weight"][::2, 1].numpy()
    tensor, column = found["wte.weight"].torch(), found["wte.weight"][::2, 1].torch()
    found.close()
    found.close()
    np.testing.assert_array_equal(array, model()["wte.weight"])
    np.testing.assert_array_equal(part, model()["wte.weight"][::2, 1])
    np.testing.assert_array_equal(tensor, model()["wte.weight"])
    np.testing.assert_array_equal(column, model()["wte.weight"][::2, 1])
    with pytest.raises(CatenError, match="closed"):
        found["h.0.mlp.w"].numpy()


def test_a_save_replaces_the_whole(target: Target) -> None:
    replaced(target)
    target.write(model())
    target.write({"only": np.ones(3, "f4")})
    equal(target.load(), {"only": np.ones(3, "f4")})


def test_output_on_input(target: Target) -> None:
    replaced(target)
    target.write(model(5000))
    with read_state_dict(target.path) as found:
        target.write({key: leaf.numpy()[::-1] for key, leaf in found.items()})
    equal(target.load(), {key: array[::-1] for key, array in model(5000).items()})


def test_what_fails_leaves_what_was_there(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(target)
    target.write(model())
    before = target.contents()

    class Lost:
        shape = (3,)

    @spec.register(Lost)
    def _spec(leaf: Lost, /) -> Any:
        return spec(np.ones(3, "f4"))

    with pytest.raises(CatenError):
        target.write({**model(), "lost": Lost()})
    with pytest.raises(StateDictError, match="'x'"):
        target.write({**model(), "x": object()})
    assert target.contents() == before
    assert len(os.listdir(Path(target.path).parent)) == 1


def test_a_full_disk_is_one_clear_error(target: Target) -> None:
    full = Path("/dev/full")
    if not full.exists() or target.format.many:
        pytest.skip("there is no full device to write to, or the format writes a folder")
    with full.open("wb", buffering=0) as file, pytest.raises((FormatError, OSError)):
        write(target.format, file, StateDict(model(5000)))


def test_values_that_are_no_tensors_are_refused(target: Target) -> None:
    with pytest.raises(StateDictError, match="'step'"):
        target.write({"w": np.ones(2), "step": 3})
    assert os.listdir(Path(target.path).parent) == []


def test_nothing_is_no_error(target: Target) -> None:
    target.write({})
    assert target.load() == {}
