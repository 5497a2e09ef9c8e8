"""Shapes of parts that not each layer has: they decide no pair of layers, and must agree."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from caten_sd import LayoutError, between, get_state_dict


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("shape", [(9,), (2, 2)])
def test_a_bias_of_another_length_is_refused(shape: tuple[int, ...], from_file: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    state = {**get_state_dict(model), "0.bias": np.zeros(shape, "f4")}
    given = (state, model) if from_file else (model, state)
    with pytest.raises(LayoutError, match=r"bias of 0.*\[4\]"):
        between(*given)
    assert len(between(get_state_dict(model), model).rows) == 4
