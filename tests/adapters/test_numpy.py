"""Arrays of numpy as leaves."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd import CatenError, get_state_dict, load_state_dict, to_state_dict, with_state
from caten_sd.extend import as_array, spec
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy
from caten_sd.state.source import Source

NAMES = [name for name, dtype in DTYPES.items() if dtype.bits != 6]


def noise(name: str, *shape: int) -> Any:
    """Return an array of this dtype with random bits."""
    dtype = numpy_dtype(DTYPES[name])
    bits = np.random.default_rng(7).integers(0, 256, (*shape[:-1], shape[-1] * dtype.itemsize))
    if name == "bool":
        bits %= 2
    if name == "float4_e2m1fn":
        bits %= 16
    return bits.astype("u1").view(dtype)


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_of_an_array_of_every_dtype(name: str) -> None:
    array = noise(name, 3, 4)
    assert spec(array)[:3] == ((3, 4), DTYPES[name], DTYPES[name].nbytes(12))
    assert as_array(Numpy(), array) is array


@pytest.mark.parametrize("dtype", [">f4", ">i8"])
def test_the_byte_order_is_not_part_of_the_dtype(dtype: str) -> None:
    assert spec(np.zeros(2, dtype)).dtype.name in ("float32", "int64")


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([{}]), np.zeros(1, "f4,i4")])
def test_text_objects_and_records_are_of_another_kind(array: Any) -> None:
    assert spec(array).dtype.kind == "other"


def test_subclasses_of_arrays_are_leaves_and_numbers_are_not() -> None:
    matrix = np.zeros((2, 2)).view(np.recarray)
    assert get_state_dict([matrix])["0"] is matrix
    assert to_state_dict([np.float32(1), np.bool_(True), np.int8(3)], []) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("offset", [0, 3])
def test_bytes_of_a_file_become_an_array_of_every_dtype(name: str, offset: int) -> None:
    array = noise(name, 3, 4)
    stored = array.tobytes()
    if name == "float4_e2m1fn":
        raw = array.view("u1").reshape(-1)
        stored = (raw[0::2] | raw[1::2] << 4).tobytes()
    data = bytearray(bytes(offset) + stored)
    leaf = LazyTensor(
        Source("w", BytesBacking(data), 0, len(data)), offset, DTYPES[name], array.shape
    )
    result = leaf.numpy()
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    assert result.tobytes() == array.tobytes()
    if name != "float4_e2m1fn":
        assert np.shares_memory(result.view("u1"), np.frombuffer(data, "u1"))


def test_an_array_without_elements() -> None:
    source = Source("w", BytesBacking(b""), 0, 0)
    assert LazyTensor(source, 0, DTYPES["bfloat16"], (0, 3)).numpy().shape == (0, 3)
    assert LazyTensor(source, 0, DTYPES["float32"], (3, 0), (1, 3)).numpy().shape == (3, 0)


def test_a_shape_that_numpy_cannot_hold_is_an_error_that_names_the_file() -> None:
    source = Source("w.bin", BytesBacking(bytes(4)), 0, 4)
    with pytest.raises(CatenError, match=r"w\.bin.*65"):
        LazyTensor(source, 0, DTYPES["float32"], (1,) * 65).numpy()


def test_blocks_are_unpacked_by_their_type() -> None:
    from caten_sd.blocks.block_types import block_type

    q8_0 = block_type("q8_0")
    raw = np.zeros((2, 34), "u1")
    raw[:, :2] = np.array([0.5], "f2").view("u1")
    raw[:, 2:] = np.arange(32)
    leaf = BlockTensor(q8_0, raw, (2, 32))
    assert np.array_equal(leaf.numpy(), [np.arange(32) / 2] * 2)
    assert torch.equal(leaf.torch(), torch.arange(32).expand(2, 32) / 2)


def test_an_array_as_the_kind_gives_an_array() -> None:
    tensor = torch.arange(3, dtype=torch.bfloat16)
    made = as_array(np.zeros(1), tensor)
    assert made.dtype == ml_dtypes.bfloat16
    assert made.astype("f4").tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("make", [
    lambda n: np.matrix([[n, n]]),
    lambda n: np.ma.masked_array([n, n], [False, True]),
    lambda n: np.rec.array([(n, n)], dtype=[("a", "i4"), ("b", "f4")]),
    lambda n: np.array([str(n)]),
    lambda n: np.array([n], np.longdouble),
    lambda n: np.array([n], "M8[s]"),
    lambda n: np.array([None, n], object),
], ids=["matrix", "masked", "records", "text", "longdouble", "time", "objects"])  # fmt: skip
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
@pytest.mark.parametrize("assign", [False, True])
def test_an_array_is_replaced_by_one_of_its_class(make: Any, verb: Any, assign: bool) -> None:
    old = make(0)
    (new,) = verb([old], {"0": np.array(make(1))}, strict=True, assign=assign)
    assert type(new) is type(old)
    assert new.dtype == old.dtype
    assert np.array(new).tolist() == np.array(make(1)).tolist()
    assert np.ma.getmask(new).tolist() == np.ma.getmask(old).tolist()
