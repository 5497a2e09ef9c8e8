"""Views of one array in another, found from the values."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from caten_sd.proof.strided_views import View, strided_view, within


def seen(whole: Any, view: View) -> Any:
    """Return the elements of a view."""
    size = whole.itemsize
    shape = [level.size for level in view.levels]
    strides = [level.stride * size for level in view.levels]
    return as_strided(whole[view.offset :], shape, strides).reshape(-1)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
    st.randoms(),
    st.sampled_from([7, 40, 10**9]),
)
def test_every_order_of_axes_is_found_even_where_values_repeat(
    shape: list[int], random: Any, values: int
) -> None:
    seed = random.randrange(1 << 30)
    whole = np.random.default_rng(seed).integers(0, values, shape)
    order = random.sample(range(len(shape)), len(shape))
    part = whole.transpose(order).reshape(-1)
    view = strided_view(whole.reshape(-1), part, first=True)
    if view is not None:
        assert (seen(whole.reshape(-1), view) == part).all()
    assert view is not None or values == 7


@pytest.mark.parametrize("box", [np.s_[2:5], np.s_[:, 1:3], np.s_[1::2], np.s_[:, :, 3], np.s_[4]])
def test_a_slice_is_found(box: Any) -> None:
    whole = np.random.default_rng(0).standard_normal((6, 4, 5))
    part = whole[box].reshape(-1)
    view = strided_view(whole.reshape(-1), part, first=False)
    assert view is not None
    assert (seen(whole.reshape(-1), view) == part).all()


def test_what_is_no_view_is_not_found() -> None:
    random = np.random.default_rng(0)
    whole = random.standard_normal(60)
    assert strided_view(whole, random.permutation(whole), first=True) is None
    assert strided_view(whole, random.standard_normal(60), first=False) is None
    assert strided_view(whole[:3], whole, first=True) is None
    almost = whole.reshape(6, 10).T.reshape(-1).copy()
    almost[57] += 1
    assert strided_view(whole, almost, first=True) is None


def test_levels_are_split_where_axes_begin_and_not_within_a_factor() -> None:
    view = View(0, ((4, 1), (6, 4)))  # type: ignore[arg-type]
    assert within(view, (6, 4), (2, 2, 6)) == ((2, 2), (2, 1), (6, 4))
    assert within(view, (6, 4), (3, 8)) is None
    assert within(view, (3, 8), (4, 6)) == ((4, 1), (3, 8), (2, 4))
