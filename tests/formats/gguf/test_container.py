from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFEndian
from gguf.quants import _type_traits

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import read
from caten_sd.formats.gguf.container import Gguf
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import spec
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict

RANDOM = np.random.default_rng(0)
DENSE = ["f4", "f2", "f8", "i1", "i2", "i4", "i8"]
BLOCKS = [kind for kind in _type_traits if kind.name != "BF16"]
BF16 = GGMLQuantizationType.BF16


def writer(path: Path, endian: GGUFEndian = GGUFEndian.LITTLE) -> gguf.GGUFWriter:
    return gguf.GGUFWriter(path, "gpt2", endianess=endian)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_every_kind_of_value(file: gguf.GGUFWriter) -> dict[str, Any]:
    scalars = {
        "uint8": 255,
        "int8": -128,
        "uint16": 65535,
        "int16": -32768,
        "uint32": 2**32 - 1,
        "int32": -(2**31),
        "uint64": 2**64 - 1,
        "int64": -(2**63),
        "float32": 0.5,
        "float64": 0.1,
        "bool": True,
        "string": "h\xe9llo \U0001f600",
    }
    arrays = {
        "strings": ["a", "", "bb\xe9"],
        "ints": [1, -2, 3],
        "floats": [0.5, -1.5],
        "bools": [True, False],
        "nested": [[1, 2], [3]],
        "nested mixed": [[1], ["x", "y"]],
    }
    for kind, value in scalars.items():
        getattr(file, f"add_{kind}")(f"k.{kind}", value)
    for kind, value in arrays.items():
        file.add_array(f"k.{kind}", value)
    return {f"k.{kind}": value for kind, value in {**scalars, **arrays}.items()}


def add_every_kind_of_tensor(file: gguf.GGUFWriter) -> None:
    for rank, dtype in enumerate(DENSE):
        shape = (3, 2, 5, 4)[: 1 + rank % 4]
        file.add_tensor(f"dense.{dtype}", (RANDOM.normal(size=shape) * 50).astype(dtype))
    for kind in BLOCKS:
        elements, size = GGML_QUANT_SIZES[kind]
        raw = RANDOM.integers(0, 256, (2, 3, 256 // elements * size), np.uint8)
        file.add_tensor(f"blocks.{kind.name}", raw, raw_dtype=kind)
    halves = gguf.quants.quantize(RANDOM.normal(size=(3, 5)).astype("f4"), BF16)
    file.add_tensor("bf16", halves, raw_dtype=BF16)
    file.add_tensor("scalar", np.array(1.5, "f4"))


def values_of(tensor: gguf.ReaderTensor) -> np.ndarray:
    dense = {0, 1, 24, 25, 26, 27, 28}
    kind = tensor.tensor_type
    with np.errstate(all="ignore"):
        data = tensor.data if kind in dense else gguf.dequantize(tensor.data, kind)
    return np.asarray(data).reshape(tensor.shape.tolist()[::-1])


def test_metadata_of_every_kind_is_what_the_writer_was_given(tmp_path: Path) -> None:
    file = writer(tmp_path / "m.gguf")
    given = add_every_kind_of_value(file)
    finish(file)
    with read_state_dict(tmp_path / "m.gguf") as found:
        for key, value in given.items():
            assert found.metadata[key] == value, key
        types = found.metadata["GGUF.types"]
    assert types["k.uint8"] == "uint8"
    assert types["k.strings"] == ["string"]
    assert types["k.nested mixed"] == [["int32"], ["string"]]


def test_tensors_of_every_kind_are_what_gguf_py_reads(tmp_path: Path) -> None:
    file = writer(tmp_path / "t.gguf")
    add_every_kind_of_tensor(file)
    finish(file)
    with read_state_dict(tmp_path / "t.gguf") as found:
        reader = gguf.GGUFReader(tmp_path / "t.gguf")
        assert list(found) == [tensor.name for tensor in reader.tensors]
        for tensor in reader.tensors:
            values = found[tensor.name].numpy()
            expected = values_of(tensor)
            assert values.shape == expected.shape == found[tensor.name].shape
            np.testing.assert_array_equal(np.asarray(values, expected.dtype), expected)


def test_dense_leaves_are_lazy_and_blocks_stay_packed(tmp_path: Path) -> None:
    file = writer(tmp_path / "t.gguf")
    add_every_kind_of_tensor(file)
    finish(file)
    with read_state_dict(tmp_path / "t.gguf") as found:
        assert isinstance(found["dense.f4"], LazyTensor)
        assert spec(found["bf16"]).dtype == DTYPES["bfloat16"]
        packed = found["blocks.Q4_1"]
        assert isinstance(packed, BlockTensor)
        assert spec(packed).nbytes == 2 * 3 * 8 * 20
        assert spec(packed.raw).shape == (2, 3, 160)


def test_writing_what_was_read_gives_the_writers_file_byte_for_byte(tmp_path: Path) -> None:
    file = writer(tmp_path / "a.gguf")
    file.add_custom_alignment(64)
    add_every_kind_of_value(file)
    add_every_kind_of_tensor(file)
    finish(file)
    with read_state_dict(tmp_path / "a.gguf") as found:
        write_state_dict(found, tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() == (tmp_path / "a.gguf").read_bytes()


def test_types_of_metadata_survive_a_format_whose_metadata_is_text(tmp_path: Path) -> None:
    file = writer(tmp_path / "a.gguf")
    add_every_kind_of_value(file)
    file.add_tensor("w", np.ones((2, 2), "f4"))
    finish(file)
    for source, target in [("a.gguf", "b.safetensors"), ("b.safetensors", "c.gguf")]:
        with read_state_dict(tmp_path / source) as found:
            metadata = {k: v for k, v in found.metadata.items() if k != "format"}
            given = StateDict(found, metadata=metadata)
            write_state_dict(given, tmp_path / target)
    assert (tmp_path / "c.gguf").read_bytes() == (tmp_path / "a.gguf").read_bytes()


@pytest.mark.parametrize("version", [2, 3])
def test_big_endian_files_of_either_version(tmp_path: Path, version: int) -> None:
    path = tmp_path / "big.gguf"
    file = writer(path, GGUFEndian.BIG)
    given = add_every_kind_of_value(file)
    dense = {d: (RANDOM.normal(size=(3, 5)) * 50).astype(d) for d in DENSE}
    for name, array in dense.items():
        file.add_tensor(name, array)
    finish(file)
    data = bytearray(path.read_bytes())
    data[4:8] = version.to_bytes(4, "big")
    path.write_bytes(data)
    with read_state_dict(path) as found:
        for key, value in given.items():
            assert found.metadata[key] == value, key
        for name, array in dense.items():
            np.testing.assert_array_equal(found[name].numpy(), array)
        write_state_dict(found, tmp_path / "little.gguf")
    little = gguf.GGUFReader(tmp_path / "little.gguf")
    assert little.endianess == GGUFEndian.LITTLE
    assert little.get_field("k.strings").contents() == given["k.strings"]  # type: ignore[union-attr]
    for tensor in little.tensors:
        np.testing.assert_array_equal(tensor.data, dense[tensor.name])


def test_gguf_py_opens_what_is_written_with_the_same_metadata_and_bytes(tmp_path: Path) -> None:
    import ml_dtypes

    leaves = {
        "f32": RANDOM.normal(size=(4, 10)).astype("f4"),
        "f16": RANDOM.normal(size=(4, 10)).astype("f2"),
        "bf16": RANDOM.normal(size=(4, 10)).astype(ml_dtypes.bfloat16),
        "i64": np.arange(6).reshape(2, 3),
        "transposed": np.arange(12, dtype="f4").reshape(3, 4).T,
        "scalar": np.array(2.5, "f8"),
    }
    metadata = {"general.architecture": "gpt2", "gpt2.block_count": 12, "eps": 1e-5, "tags": ["a"]}
    write_state_dict(leaves, tmp_path / "a.gguf", metadata=metadata)
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    for key, value in metadata.items():
        assert reader.get_field(key).contents() == value  # type: ignore[union-attr]
    for tensor, (name, array) in zip(reader.tensors, leaves.items(), strict=True):
        assert tensor.name == name
        assert tensor.data.tobytes() == np.ascontiguousarray(array).tobytes()


def test_failure_26_shapes_are_row_major_and_q8_0_is_within_one_step(tmp_path: Path) -> None:
    wide = RANDOM.normal(size=(4, 10)).astype("f4")
    values = RANDOM.normal(size=(2, 64)).astype("f4")
    kind = GGMLQuantizationType.Q8_0
    file = writer(tmp_path / "a.gguf")
    file.add_tensor("wide", wide)
    file.add_tensor("packed", gguf.quants.quantize(values, kind), raw_dtype=kind)
    finish(file)
    with read_state_dict(tmp_path / "a.gguf") as found:
        assert found["wide"].shape == (4, 10)
        np.testing.assert_array_equal(found["wide"].numpy(), wide)
        step = abs(values).reshape(2, 2, 32).max(axis=2).repeat(32, axis=1) / 127
        assert (abs(found["packed"].numpy() - values) <= step).all()


def test_tied_tensors_are_stored_once_and_read_back_tied(tmp_path: Path) -> None:
    wte = np.ones((3, 4), "f4")
    write_state_dict({"wte": wte, "lm_head": wte, "b": wte[0].copy()}, tmp_path / "a.gguf")
    assert len(gguf.GGUFReader(tmp_path / "a.gguf").tensors) == 2
    with read_state_dict(tmp_path / "a.gguf") as found:
        assert found.ties == {"lm_head": "wte"}
        assert found["lm_head"] is found["wte"]
        assert not any(key.startswith("caten_sd.tied") for key in found.metadata)


def test_empty_tensors_and_an_empty_file(tmp_path: Path) -> None:
    write_state_dict({"e": np.ones((0, 3), "f4"), "f": np.ones(2, "f4")}, tmp_path / "a.gguf")
    with read_state_dict(tmp_path / "a.gguf") as found:
        assert found["e"].numpy().shape == (0, 3)
    write_state_dict({}, tmp_path / "b.gguf")
    with read_state_dict(tmp_path / "b.gguf") as found:
        assert not found


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.ones(2, bool), r"gguf cannot hold 'x' \(bool\); convert it to another dtype"),
        (np.ones((1, 1, 1, 1, 2), "f4"), r"'x' has 5 dimensions, .* at most 4; reshape"),
    ],
)
def test_what_gguf_cannot_hold_is_refused(tmp_path: Path, leaf: Any, message: str) -> None:
    with pytest.raises(StateDictError, match=message):
        write_state_dict({"x": leaf}, tmp_path / "a.gguf")
    assert not list(tmp_path.iterdir())


def test_a_pickled_ggml_name_is_told_apart() -> None:
    source = Source("x.gguf", BytesBacking(b"GGML" + bytes(60)), 0, 64)
    with pytest.raises(FormatError, match=r"x\.gguf: it is an old GGML file"):
        read(Gguf(), source)


def test_closing_gives_the_file_back_while_its_metadata_is_held(tmp_path: Path) -> None:
    file = writer(tmp_path / "a.gguf")
    file.add_array("tokens", ["a", "b"])
    file.add_tensor("w", np.ones(3, "f4"))
    finish(file)
    with read_state_dict(tmp_path / "a.gguf") as found:
        found["w"].numpy().sum()
        tokens = found.metadata["tokens"]
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path) not in maps.read_text()
    assert tokens == ["a", "b"]
