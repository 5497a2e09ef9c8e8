"""The figures of a change, against numpy in the widest dtype, whatever the values are."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.proof.diff_rounding import rounding_between
from caten_sd.proof.diff_tally import Change, tallied
from caten_sd.state.dtype import dtype_called
from tests.properties import examples

SPECIAL = [0.0, -0.0, 1.0, 1.5, -2.0, 1e-30, 1e-22, 3e19, 1e38, math.inf, -math.inf, math.nan]
DTYPES = ["f4", "f8", "f2", ml_dtypes.bfloat16, "i4", "i8", "u1", "?"]


def expected(a: Any, b: Any) -> Change:
    """Return the figures by plain formulas."""
    one, other = a.astype(np.longdouble), b.astype(np.longdouble)
    nan_a, nan_b = np.isnan(one), np.isnan(other)
    both = np.isfinite(one) & np.isfinite(other)
    x, y = one[both], other[both]
    gaps = np.abs(x - y)
    infinite = ((one != other) & ~both & ~nan_a & ~nan_b).any()
    lengths = np.sqrt(np.square(x).sum()) * np.sqrt(np.square(y).sum())
    rms = np.sqrt(np.square(gaps).sum() / a.size)
    size = np.sqrt(np.square(x).sum() / a.size)
    changed = int(((one != other) & ~(nan_a & nan_b)).sum())
    return Change(
        a.size,
        changed,
        math.inf if infinite else float(gaps.max(initial=0)),
        float(gaps.sum() / a.size),
        float(rms),
        float(rms / size) if size else math.inf * bool(rms) if rms else 0.0,
        float((x * y).sum() / lengths) if lengths else float(not changed),
        int((nan_a & ~nan_b).sum()),
        int((nan_b & ~nan_a).sum()),
    )


def close(found: Change, wanted: Change) -> bool:
    """Return whether all figures are equal but for the rounding of float32."""
    cosines = found.cosine, wanted.cosine
    rest = [each._replace(cosine=0.0) for each in (found, wanted)]
    near = tuple(rest[0]) == pytest.approx(tuple(rest[1]), rel=2e-5, abs=1e-37)
    return near and cosines[0] == pytest.approx(cosines[1], abs=1e-6)


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.sampled_from(SPECIAL), st.sampled_from(SPECIAL)), min_size=1),
    st.integers(0, 3),
)
def test_floats_of_any_size(pairs: list[tuple[float, float]], parts: int) -> None:
    a, b = (np.array(side, "f4") for side in zip(*pairs, strict=True))
    blocks = list(zip(np.array_split(a, parts + 1), np.array_split(b, parts + 1), strict=True))
    found = tallied(blocks).result()
    assert close(found, expected(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: Any) -> None:
    random = np.random.default_rng(0)
    a, b = ((random.standard_normal(1000) * 5).astype(dtype) for _ in range(2))
    assert close(tallied([(a, b)]).result(), expected(a, b))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.1, 10.0, 1e3, 1e6])
def test_the_cosine_of_values_of_other_sizes(scale: float) -> None:
    """The product is that of the sums where they tell it, else it is summed up itself."""
    random = np.random.default_rng(0)
    a, noise = (random.standard_normal(5000).astype("f4") for _ in range(2))
    for b in (a, a + noise, noise, -a):
        assert close(tallied([(a, b * np.float32(scale))]).result(), expected(a, b * scale))


@pytest.mark.parametrize(("other", "is_within"), [(np.nan, True), (1.0, False)])
def test_what_both_have_as_nan_is_within_a_rounding(other: float, is_within: bool) -> None:
    rounding = rounding_between(*map(dtype_called, ("float32", "float16")))
    found = tallied([(np.array([0.1, np.nan], "f4"), np.array([0.1, other], "f2"))], rounding)
    assert found.is_changed
    assert found.is_within == is_within


def test_a_quick_sum_leaves_two_figures_out() -> None:
    a = np.linspace(-1, 1, 1000, dtype="f4")
    for b in (a * 2, np.where(a > 0.5, np.nan, a).astype("f4"), a.copy(), a + np.float32(1e-25)):
        tallies = [tallied([(a, b)], quick=quick) for quick in (False, True)]
        whole, quick = (each.result() for each in tallies)
        assert quick == whole._replace(changed=None, mean=None)
        assert tallies[0].is_changed == tallies[1].is_changed == bool(whole.changed)


def test_large_integers_are_not_rounded() -> None:
    a = np.array([2**62, 5])
    assert tallied([(a, a + 1)]).result()[1:3] == (2, 1.0)


def test_complex_values() -> None:
    a = np.array([1 + 1j, 2, 3j], "c8")
    found = tallied([(a, a + np.array([0, 3 + 4j, 0], "c8"))]).result()
    assert (found.changed, found.largest) == (1, pytest.approx(5.0))
    assert found.rms == pytest.approx(math.sqrt(25 / 3))


def test_no_elements_at_all() -> None:
    assert tallied([]).result()[:4] == (0, 0, 0.0, 0.0)
