"""The layers of stages are counted on, and what two stages have is compared."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.joined_stages import joined_stages

ONE, TWO = np.ones(2), np.zeros(2)


def test_layers_are_counted_on() -> None:
    stages = [
        {"embedding.w": ONE, "decoder.layers.0.w": ONE, "decoder.layers.1.w": ONE},
        {"decoder.layers.0.w": TWO},
        {"decoder.layers.0.w": TWO, "decoder.layers.1.w": TWO, "embedding.w": ONE, "norm.w": ONE},
    ]
    found = joined_stages(stages)
    assert sorted(found) == [f"decoder.layers.{n}.w" for n in range(5)] + ["embedding.w", "norm.w"]
    assert [found[f"decoder.layers.{n}.w"][0] for n in range(5)] == [1, 1, 0, 0, 0]


def test_one_stage_is_as_it_is() -> None:
    assert joined_stages([{"layers.0.w": ONE, "x": 3}]) == {"layers.0.w": ONE, "x": 3}


def test_what_two_stages_have_must_be_equal() -> None:
    with pytest.raises(LayoutError, match=r"embedding\.w of stage 1 differs"):
        joined_stages([{"embedding.w": ONE}, {"embedding.w": TWO}])


@pytest.mark.parametrize("numbers", [(1, 2), (0, 2), (5,)])
def test_layers_that_are_not_counted_from_0_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match="not counted from 0"):
        joined_stages([{"layers.0.w": ONE}, {f"layers.{n}.w": ONE for n in numbers}])
