"""What one line says of many tensors: ranges, the worst of them, and where a NaN is."""

import numpy as np

from caten_sd.proof.diff_by_name import met_by_name
from caten_sd.proof.diff_rows import summary_of


def summary(a: list[list[float]], b: list[list[float]]) -> str:
    """Return the line for tensors of one pattern with these values."""
    sides = [{f"h.{n}.w": np.array(each, "f4") for n, each in enumerate(side)} for side in (a, b)]
    return summary_of(list(met_by_name(*sides).rows.values()))


def test_ranges_and_a_share() -> None:
    text = summary([[1, 1, 1, 1], [2, 2, 2, 2]], [[1.5, 1, 1, 1], [2.5, 2, 2, 2]])
    assert text == "relative rms 0.12 to 0.25; largest 0.5, cosine 0.982; 25% of the elements"


def test_a_nan_is_named_with_its_tensor_and_counts_in_no_other_figure() -> None:
    nan = float("nan")
    text = summary([[1, 1], [1, 1], [nan, 1]], [[2, 2], [nan, nan], [1, 2]])
    assert "NaN in 1 element of A only; NaN in 2 elements of B only; in h.1.w and 1 more" in text
    assert "largest 1, " in text


def test_a_tensor_of_zeros_that_was_trained_is_infinitely_far() -> None:
    text = summary([[0, 0], [1, 1], [1, 1]], [[1, 1], [1.001, 1], [1.001, 1]])
    assert "to inf in h.0.w, most at 0.00071" in text
