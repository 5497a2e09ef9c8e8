from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import pad, pad_2d


def test_each_axis_has_its_pair() -> None:
    padded = pad(torch.ones(2, 1, 2), [(1, 0), True, (0, 2)], value=7.0)
    assert padded.shape == (3, 1, 4)
    assert (padded[0] == 7).all()
    assert padded[1:, 0].tolist() == [[1, 1, 7, 7]] * 2


def test_the_last_two_axes_have_four_sizes() -> None:
    assert pad_2d(torch.ones(3, 2, 2), (1, 2, 0, 4)).shape == (3, 5, 6)


def test_no_padding_looks_at_no_value() -> None:
    x = torch.arange(3)
    assert pad(x, [True], value=-float("inf")) is x


@pytest.mark.parametrize(
    ("padding", "facts"),
    [
        ([(1, 1)], r"one pair.*\(2, 3\)"),
        ([(1, 1), (1, 1, 1)], "one pair"),
        ([(1, 1), False], "one pair"),
        ([(1, 1), (-1, 0)], "negative"),
    ],
)
def test_an_impossible_padding_is_refused(padding, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        pad(torch.ones(2, 3), padding)


@pytest.mark.parametrize(("shape", "padding"), [((2, 3), (1, 1)), ((3,), (1, 1, 1, 1))])
def test_four_sizes_need_two_axes(shape, padding) -> None:
    with pytest.raises(ModelError, match="four sizes"):
        pad_2d(torch.ones(shape), padding)
