"""Shapes of parts that not each layer has: they decide no pair of layers, and must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from caten_sd import LayoutError, between, get_state_dict
from caten_sd.nn import Attention, Conv2d


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("shape", [(9,), (2, 2)])
def test_a_bias_of_another_length_is_refused(shape: tuple[int, ...], from_file: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    state = {**get_state_dict(model), "0.bias": np.zeros(shape, "f4")}
    given = (state, model) if from_file else (model, state)
    with pytest.raises(LayoutError, match=r"bias of 0.*\[4\]"):
        between(*given)
    assert len(between(get_state_dict(model), model).rows) == 4


def test_a_layer_of_another_size_is_refused_with_both() -> None:
    with pytest.raises(LayoutError, match=r"head, dense \[2, 3\].*head, dense \[2, 4\]"):
        between({"head": nn.Linear(3, 2)}, {"head": nn.Linear(4, 2)})


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        (nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 4), "2 heads, .* has 4"),
        (nn.MultiheadAttention(8, 2), Attention(8, 4), "2 heads, .* has 4"),
        (nn.GroupNorm(2, 8), nn.GroupNorm(4, 8), "2 groups, .* has 4"),
        (nn.Conv2d(4, 4, 3, groups=2), Conv2d(2, 4, 3), "2 groups, .* has 1"),
    ],
)
def test_counts_that_no_shape_tells_are_compared(one: Any, other: Any, counts: str) -> None:
    with pytest.raises(LayoutError, match=counts):
        between(one, other)
