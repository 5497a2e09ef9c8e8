"""Basic indexing without elements: numpy is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caten_sd.state.indexing import c_strides, is_size, narrow


def taken(shape: tuple[int, ...], strides: tuple[int, ...] | None, index: Any) -> Any:
    """Apply what ``narrow`` says to the numbers 0, 1, 2, ... in a row."""
    flat = np.arange(100_000)
    offset, new_shape, new_strides = narrow(shape, strides, index)
    steps = [8 * step for step in new_strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], new_shape, steps)


@given(st.data())
def test_it_takes_what_numpy_takes(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    array = np.arange(int(np.prod(shape))).reshape(shape)
    index = data.draw(hnp.basic_indices(shape, allow_ellipsis=True))
    whole = index if isinstance(index, tuple) else (index,)
    if any(isinstance(pick, slice) and (pick.step or 1) < 0 for pick in whole):
        with pytest.raises(IndexError, match="forward only"):
            narrow(shape, None, index)
        return
    expected = array[index]
    result = taken(shape, None, index)
    assert result.shape == np.shape(expected)
    assert np.array_equal(result, expected)


def test_it_goes_on_from_strides() -> None:
    turned = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
    strides = tuple(step // 8 for step in turned.strides)
    assert np.array_equal(taken((4, 2, 3), strides, (slice(1, 3), 1)), turned[1:3, 1])


def test_an_empty_slice_begins_inside_the_leaf() -> None:
    assert narrow((5, 3), None, (slice(5, None), 2))[0] == 0


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (5, "index 5 is out of range for an axis of size 5"),
        (-6, "index -6 is out of range"),
        ((0, 0, 0), "is not an index .* 2 axes"),
        ((..., 0, ...), "is not an index .* 2 axes"),
        (True, "integers and slices, not by True"),
        (None, "integers and slices, not by None"),
        ([0, 1], r"integers and slices, not by \[0, 1\]"),
        (1.0, "integers and slices, not by 1.0"),
    ],
)
def test_what_is_not_a_basic_index_is_refused(index: Any, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        narrow((5, 3), None, index)


def test_strides_of_c_order() -> None:
    for shape in [(), (3,), (2, 3, 4), (2, 0, 4)]:
        expected = np.empty(shape, "i8").strides
        if 0 not in shape:
            assert [8 * step for step in c_strides(shape)] == list(expected)


def test_sizes_are_ints_that_an_address_can_hold() -> None:
    assert all(map(is_size, (0, 1, (1 << 63) - 1)))
    assert not any(map(is_size, (-1, 1 << 63, 1.0, True, "1", None)))
