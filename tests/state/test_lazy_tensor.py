"""A leaf in a file: what is known without reading, and what a slice reads."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caten_sd import CatenError
from caten_sd.extend import spec
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source


def lazy(array: Any, offset: int = 0, **how: Any) -> LazyTensor:
    """Return an array as it would lie in a file, behind ``offset`` bytes of something else."""
    array = np.asarray(array)
    data = bytearray(b"\xff" * offset + array.tobytes() + b"\xff")
    dtype = DTYPES[array.dtype.name]
    return LazyTensor(
        Source("w.bin", BytesBacking(data), 0, len(data)), offset, dtype, array.shape, **how
    )


class Unreadable:
    """Bytes that nobody may touch."""

    mapped = True

    def view(self, start: int, count: int) -> memoryview:
        raise AssertionError("the data was read")

    def read(self, start: int, count: int) -> bytes:
        raise AssertionError("the data was read")

    def close(self) -> None:
        pass


def test_what_is_asked_of_a_lazy_leaf_reads_nothing() -> None:
    leaf = LazyTensor(Source("big", Unreadable(), 0, 1 << 50), 8, DTYPES["float16"], (1 << 20, 4))
    assert spec(leaf)[:3] == ((1 << 20, 4), DTYPES["float16"], 1 << 23)
    part = leaf[5, 1:3]
    assert (part.shape, part.offset, part.extent, len(leaf)) == ((2,), 8 + 42, 4, 1 << 20)
    assert repr(leaf) == "LazyTensor(float16, [1048576, 4], big at 8)"


@given(st.data())
def test_a_slice_of_a_slice_reads_what_numpy_would(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=6))
    array = np.arange(int(np.prod(shape)), dtype="f4").reshape(shape)
    leaf: Any = lazy(array, offset=4)
    for _ in range(2):
        index = data.draw(hnp.basic_indices(array.shape, min_dims=0))
        whole = index if isinstance(index, tuple) else (index,)
        if any(isinstance(pick, slice) and (pick.step or 1) < 0 for pick in whole):
            return
        leaf, array = leaf[index], np.asarray(array[index])
        assert np.array_equal(leaf.numpy(), array)
        assert torch.equal(leaf.torch(), torch.from_numpy(array.copy()))


def test_a_lazy_leaf_is_an_array_to_numpy() -> None:
    leaf = lazy(np.arange(6, dtype="i4").reshape(2, 3))
    assert np.array_equal(np.asarray(leaf), [[0, 1, 2], [3, 4, 5]])
    assert np.asarray(leaf, dtype="f8").dtype == np.float64
    assert np.shares_memory(np.asarray(leaf), np.asarray(leaf))
    assert not np.shares_memory(np.array(leaf, copy=True), leaf.numpy())
    assert [row.numpy().tolist() for row in leaf] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="by a copy only"):
        leaf.__array__(np.dtype("f8"), copy=False)


def test_a_leaf_without_axes_has_a_value_and_no_length() -> None:
    leaf = lazy(np.array(2.5))
    assert (leaf.numpy()[()], leaf.torch().item(), leaf.shape) == (2.5, 2.5, ())
    with pytest.raises(TypeError, match="no length"):
        len(leaf)


def test_elements_that_share_bytes_cannot_be_sliced() -> None:
    leaf = lazy(np.zeros(4, ml_dtypes.float4_e2m1fn))
    with pytest.raises(CatenError, match=r"w\.bin: a float4_e2m1fn leaf cannot be sliced"):
        leaf[0]


def test_a_leaf_that_leaves_its_file_is_an_error() -> None:
    source = Source("w.bin", BytesBacking(bytes(10)), 0, 10)
    leaf = LazyTensor(source, 4, DTYPES["float32"], (2,))
    with pytest.raises(CatenError, match=r"w\.bin: it is 2 bytes short"):
        leaf.numpy()


def test_strides_count_elements() -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3)
    leaf = lazy(array)
    turned = LazyTensor(leaf.source, 0, leaf.dtype, (3, 2), (1, 3))
    assert turned.extent == 24
    assert np.array_equal(turned.numpy(), array.T)
    assert torch.equal(turned.torch(), torch.from_numpy(array.T))
    assert LazyTensor(leaf.source, 0, leaf.dtype, (0, 2), (1, 3)).extent == 0


def test_big_endian_bytes_become_native_arrays() -> None:
    leaf = lazy(np.arange(3, dtype=">f4"), order=">")
    assert leaf.numpy().tolist() == leaf.torch().tolist() == [0, 1, 2]
    assert leaf.numpy().dtype.isnative
