from __future__ import annotations

import subprocess
import sys

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from caten_sd.blocks.block_types import PIECE, BlockType, block_type, block_types, quantize
from caten_sd.errors import CatenError
from caten_sd.state.leaf import dequantize

DENSE = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"}


def test_every_type_of_gguf_py_is_known_with_its_number_and_sizes() -> None:
    ours = {t.name.upper(): (t.gguf, t.elements, t.size) for t in block_types().values()}
    theirs = {
        t.name: (t.value, *GGML_QUANT_SIZES[t]) for t in GGMLQuantizationType if t.name not in DENSE
    }
    assert ours == theirs


def test_a_type_is_found_in_any_case_and_equals_itself_made_anew() -> None:
    assert block_type("Q4_K") == block_type("q4_k") == type(block_type("q4_k"))()
    assert block_type("q4_k") != block_type("q5_k")
    assert block_type("q4_k").dtype.nbytes(512) == 2 * 144


def test_an_unknown_name_lists_the_existing_ones() -> None:
    with pytest.raises(CatenError, match=r"no block type is called 'q7_0'; .* q4_0, "):
        block_type("q7_0")


def test_types_are_named_without_importing_numpy() -> None:
    code = (
        "import sys, caten_sd.blocks.block_types as b; b.block_types();"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_many_pieces_give_what_each_gives() -> None:
    kind = block_type("q8_0")
    rows = PIECE // 4096 * 5 + 3
    raw = np.random.default_rng(0).integers(0, 60, (rows, 4096 // 32 * 34), np.uint8)
    values = dequantize(kind, raw)
    np.testing.assert_array_equal(values[-7:], dequantize(kind, raw[-7:]))
    np.testing.assert_array_equal(values[::99], dequantize(kind, raw[::99]))
    np.testing.assert_array_equal(
        values.view("u4"), gguf.dequantize(raw, GGMLQuantizationType.Q8_0).view("u4")
    )


def test_rows_may_be_strided_signed_or_none_at_all() -> None:
    kind = block_type("q4_0")
    raw = np.random.default_rng(0).integers(0, 60, (4, 36), np.uint8)
    values = dequantize(kind, raw)
    np.testing.assert_array_equal(dequantize(kind, raw[::2]), values[::2])
    np.testing.assert_array_equal(dequantize(kind, raw[:, 18:]), values[:, 32:])
    np.testing.assert_array_equal(dequantize(kind, raw.view(np.int8)), values)
    assert dequantize(kind, raw[:0]).shape == (0, 64)
    assert dequantize(kind, raw[:, :0]).shape == (4, 0)


@pytest.mark.parametrize(
    "raw", [np.zeros((2, 17), np.uint8), np.zeros((2, 18), np.float32), np.zeros((), np.uint8)]
)
def test_what_is_not_an_array_of_blocks_is_refused(raw: object) -> None:
    with pytest.raises(CatenError, match=r"not an array of q4_0 blocks; .* multiple of 18 bytes"):
        dequantize(block_type("q4_0"), raw)


def test_a_row_that_does_not_divide_into_blocks_is_not_quantized() -> None:
    with pytest.raises(CatenError, match=r"rows of 33 values .* q8_0 blocks of 32"):
        quantize(block_type("q8_0"), np.zeros((2, 33)))


def test_a_type_that_cannot_be_written_names_those_that_can() -> None:
    with pytest.raises(CatenError, match="to q4_k; choose one of q4_0, q4_1, q5_0, q5_1, q8_0"):
        quantize(block_type("q4_k"), np.zeros((2, 256)))


def test_a_type_of_ones_own_needs_one_method() -> None:
    class Halved(BlockType):
        name, elements, size, gguf = "halved", 1, 1, 1000

    @dequantize.register(Halved)
    def halved(kind: Halved, raw: np.ndarray) -> np.ndarray:
        return raw.astype(np.float32) / 2

    assert dequantize(Halved(), np.array([[3]], np.uint8)).tolist() == [[1.5]]
    assert "halved" not in block_types()
