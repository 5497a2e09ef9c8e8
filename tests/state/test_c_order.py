from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.state import c_order as module
from caten_sd.state.c_order import contiguous
from tests.properties import examples

DTYPES = ["u1", "f2", "f4", ">f4", "f8", "c16", "?", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small arrays take the way of large ones, over several blocks."""
    monkeypatch.setattr(module, "SMALL", 1)
    monkeypatch.setattr(module, "ROWS", 5)
    monkeypatch.setattr(module, "COLUMNS", 3)


@settings(max_examples=examples(200))
@given(st.data(), st.sampled_from(DTYPES))
def test_every_view_becomes_the_same_array_in_c_order(data: Any, dtype: Any) -> None:
    shape = data.draw(st.lists(st.integers(0, 9), max_size=4))
    raw = np.random.default_rng(0).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    array = np.frombuffer(raw, dtype).reshape(shape)
    view = array.transpose(data.draw(st.permutations(range(array.ndim))))
    index = data.draw(
        st.tuples(
            *(
                st.sampled_from([slice(None), slice(1, None, 2), slice(None, None, -1)])
                for _ in shape
            )
        )
    )
    view = view[index]
    result = contiguous(view)
    assert result.flags.c_contiguous
    assert (result.shape, result.dtype) == (view.shape, view.dtype)
    assert result.tobytes() == view.tobytes()


def test_what_is_in_order_is_not_copied() -> None:
    array = np.zeros((300, 300), "f4")
    assert contiguous(array) is array
    assert contiguous(array[3:]).base is array
    assert contiguous(np.zeros(())).shape == ()


def test_arrays_of_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    array = np.arange(700 * 301, dtype="i4").reshape(700, 301)
    assert np.array_equal(contiguous(array.T), array.T)
    stacked = np.arange(3 * 260 * 140, dtype="i8").reshape(3, 260, 140)
    assert np.array_equal(contiguous(stacked.swapaxes(1, 2)), stacked.swapaxes(1, 2))
