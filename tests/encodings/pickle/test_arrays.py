from __future__ import annotations

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Instance
from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.errors import FormatError
from caten_sd.state.lazy_tensor import LazyTensor

ARRAYS: dict[str, Any] = {
    "matrix": np.arange(6).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)),
    "big endian": np.arange(6, dtype=">f8").reshape(2, 3),
    "strided": np.arange(12, dtype="i2")[::3],
    "none": np.zeros((0, 3)),
    "scalar array": np.array(3, "u8"),
    "half": np.arange(5, dtype="f2"),
    "truth": np.array([True, False]),
    "complex": np.array([1 + 2j], "c16"),
    "bfloat16": np.ones(3, ml_dtypes.bfloat16),
    "float8": np.ones(3, ml_dtypes.float8_e4m3fn),
    "large": np.arange(100_000, dtype="i4"),
    "scalar": np.float32(2.5),
    "truth scalar": np.bool_(True),
}


def leaf_of(data: bytes) -> Any:
    value = unpickle(memoryview(data), source_name="a.pkl").value
    return array_leaf(value) if type(value) is Instance else value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_lazy_leaves(name: str, protocol: int) -> None:
    array = ARRAYS[name]
    leaf = leaf_of(pickle.dumps(array, protocol))
    assert type(leaf) is LazyTensor
    found = leaf.numpy()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape


def test_a_large_array_is_a_slice_of_the_file() -> None:
    data = memoryview(bytearray(pickle.dumps(ARRAYS["large"], 5)))
    value = unpickle(data, source_name="a.pkl").value
    assert value.raw().obj is data.obj


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array([{}], dtype=object),
        np.zeros(2, [("a", "f4")]),
        np.array(1, "M8[s]"),
        np.str_("text"),
    ],
)
def test_an_array_whose_dtype_no_tensor_has_stays_inert(array: Any, protocol: int) -> None:
    value = unpickle(pickle.dumps(array, protocol), source_name="a.pkl").value
    if not isinstance(value, str):
        assert type(value) is Instance
        assert array_leaf(value) is None


def test_a_scalar_of_objects_is_a_pickle_in_a_pickle() -> None:
    data = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\2O8\x89\x88tRC\2N.tR."
    with pytest.raises(FormatError, match="a pickle of its own"):
        unpickle(data, source_name="a.pkl")


ARRAY = pickle.dumps(np.arange(6, dtype="<i4"), 2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"K\x06\x85", b"K\x07\x85", r"\[7\] int32 .*24 bytes"),
        (b"K\x06\x85", b"J\xff\xff\xff\xff\x85", "no shape"),
        (b"K\x06\x85", b"N\x85", "no shape"),
    ],
)
def test_an_array_of_another_size_than_its_bytes_is_refused(
    old: bytes, new: bytes, words: str
) -> None:
    data = ARRAY.replace(old, new, 1)
    assert data != ARRAY
    with pytest.raises((FormatError, ValueError), match=words):
        leaf_of(data)
