"""Element types: sizes, names, and numpy's dtypes for them."""

from __future__ import annotations

import pytest
import torch

from caten_sd import CatenError
from caten_sd.state.dtype import DTYPES, DType, numpy_dtype
from caten_sd.state.leaf import spec_of


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_has_the_size_and_the_name_of_its_namesakes(name: str) -> None:
    dtype = DTYPES[name]
    assert str(dtype) == dtype.name == name
    theirs = getattr(torch, name, None)
    if theirs is not None:
        assert (theirs.itemsize, theirs.is_floating_point) == (
            dtype.itemsize,
            dtype.kind == "float",
        )
    if dtype.bits not in (4, 6):
        assert numpy_dtype(dtype).itemsize == dtype.itemsize == dtype.bits // 8
        assert numpy_dtype(dtype).name == name


@pytest.mark.parametrize(
    ("name", "count", "nbytes"),
    [("float32", 3, 12), ("float4_e2m1fn", 3, 2), ("float6_e2m3fn", 4, 3), ("bool", 5, 5)],
)
def test_elements_of_less_than_a_byte_fill_the_last_one(name: str, count: int, nbytes: int) -> None:
    assert DTYPES[name].nbytes(count) == nbytes
    assert spec_of((count,), DTYPES[name])[:3] == ((count,), DTYPES[name], nbytes)


def test_a_block_of_elements_has_no_size_of_one() -> None:
    block = DType("q8_0", "block", 272, 32)
    assert (block.itemsize, block.nbytes(64)) == (0, 68)


@pytest.mark.parametrize("name", ["float6_e2m3fn", "q8_0", "qint8"])
def test_a_dtype_that_numpy_lacks_is_an_error(name: str) -> None:
    dtype = DTYPES.get(name) or DType(name, "block" if name[1] == "8" else "other", 8)
    with pytest.raises(CatenError, match=f"numpy has no dtype for {name}"):
        numpy_dtype(dtype)
