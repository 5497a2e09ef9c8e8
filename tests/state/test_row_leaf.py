"""A leaf that is computed by rows is sliced as numpy slices it, and reads whole rows together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.row_leaf import RowLeaf
from tests.properties import examples

ROWS = np.arange(70, dtype="f4").reshape(10, 7)


class ByThree(RowLeaf):
    """Rows of which three are computed at a time."""

    def __init__(self, start: int = 0, stop: int = 10) -> None:
        self.range = slice(start, stop)
        self.shape, self.dtype = (stop - start, 7), DTYPES["float32"]

    @property
    def rows_together(self) -> int:
        return 3

    def rows(self, start: int, stop: int) -> ByThree:
        assert start % 3 == 0
        assert stop % 3 == 0 or stop == 10
        return ByThree(start, stop)


@as_array.register(Numpy, ByThree)
def _array(kind: Numpy, leaf: ByThree, /) -> Any:
    return ROWS[leaf.range]


AXIS = st.one_of(
    st.integers(-7, 6), st.slices(7).filter(lambda each: each.step is None or each.step > 0)
)


@settings(max_examples=examples(60))
@given(AXIS, AXIS)
def test_any_index_gives_what_numpy_gives(first: Any, last: Any) -> None:
    assert np.array_equal(ByThree()[first, last].numpy(), ROWS[first, last])
    assert np.array_equal(ByThree()[first].numpy(), ROWS[first])


@pytest.mark.parametrize("box", [slice(4, 5), slice(3, 10), slice(0, 10), slice(9, 10)])
def test_a_range_of_rows_reads_whole_rows_together(box: slice) -> None:
    assert np.array_equal(ByThree()[box, 2:4].numpy(), ROWS[box, 2:4])
