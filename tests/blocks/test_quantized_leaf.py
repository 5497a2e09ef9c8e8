from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from caten_sd.blocks.block_types import block_type, quantize
from caten_sd.blocks.quantized_leaf import quantized
from caten_sd.errors import CatenError, StateDictError
from caten_sd.files.cast import before_cast, cast_floats, dtype_named
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.conversion import convert
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict

VALUES = np.random.default_rng(0).normal(size=(3, 64)).astype("f4")


def test_it_is_described_unread_and_packs_when_read() -> None:
    leaf = quantized(VALUES, block_type("q8_0"))
    assert spec(leaf).shape == (3, 64)
    assert spec(leaf).nbytes == 3 * 2 * 34
    assert spec(leaf.raw).shape == (3, 68)
    np.testing.assert_array_equal(np.asarray(leaf.raw.leaf), VALUES)
    assert abs(leaf.numpy() - VALUES).max() < abs(VALUES).max() / 127


def test_rows_that_do_not_divide_into_blocks_are_refused_when_read() -> None:
    with pytest.raises(CatenError, match="rows of 33 values"):
        quantized(np.zeros((2, 33)), block_type("q4_0")).numpy()


def test_only_matrices_that_divide_into_blocks_are_quantized() -> None:
    given = StateDict(
        {"w": VALUES, "norm": VALUES[0], "odd": np.ones((2, 33)), "i": np.ones(64, "i4")}
    )
    cast = cast_floats(given, "q4_0")
    assert [spec(leaf).dtype.name for leaf in cast.values()] == [
        "q4_0",
        "float32",
        "float64",
        "int32",
    ]
    assert before_cast(cast["w"]) is VALUES
    assert before_cast(cast["norm"]) is None


def test_a_block_type_that_cannot_be_written_is_not_a_dtype_to_cast_to() -> None:
    assert dtype_named("q5_1").kind == "block"
    with pytest.raises(StateDictError, match=r"'q4_k' is not a dtype; .*, q4_0, .* q8_0$"):
        dtype_named("q4_k")


def test_what_is_written_is_what_gguf_py_quantizes(tmp_path: Path) -> None:
    write_state_dict(cast_floats(StateDict({"w": VALUES}), "q5_0"), tmp_path / "q.gguf")
    (tensor,) = gguf.GGUFReader(tmp_path / "q.gguf").tensors
    expected = gguf.quants.quantize(VALUES, gguf.GGMLQuantizationType.Q5_0)
    np.testing.assert_array_equal(tensor.data, expected)
    with read_state_dict(tmp_path / "q.gguf") as again:
        np.testing.assert_array_equal(again["w"].raw.numpy(), quantize(block_type("q5_0"), VALUES))


def test_a_conversion_counts_what_it_quantized_and_the_largest_error(tmp_path: Path) -> None:
    write_state_dict({"w": VALUES, "norm": VALUES[0]}, tmp_path / "a.safetensors")
    done = convert(tmp_path / "a.safetensors", tmp_path / "a.gguf", dtype="q8_0")
    assert done.casts == {"float32 to q8_0": 1}
    assert done.error_key == "w"
    with read_state_dict(tmp_path / "a.gguf") as found:
        assert done.error == abs(found["w"].numpy().astype("f8") - VALUES).max()
    again = convert(tmp_path / "a.gguf", tmp_path / "b.safetensors", dtype="f32")
    assert again.casts == {"q8_0 to float32": 1}
    assert again.error == 0


def test_packed_blocks_are_copied_packed_by_a_conversion(tmp_path: Path) -> None:
    write_state_dict(cast_floats(StateDict({"w": VALUES}), "q4_1"), tmp_path / "a.gguf")
    assert convert(tmp_path / "a.gguf", tmp_path / "b.gguf").casts == {}
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
