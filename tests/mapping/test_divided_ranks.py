"""What is divided among ranks is what the same rows join."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.extend import Numpy, as_array
from caten_sd.mapping.divided_ranks import divided_among
from caten_sd.mapping.joined_ranks import joined_ranks
from caten_sd.mapping.layout_plan import to_layout
from tests.layouts.test_llama import random_model

DIVIDED = ["meta-llama", "megatron-llama", "megatron-llama-local", "megatron-llama-classic",
           "megatron-llama-local-padded"]  # fmt: skip


def arrays(leaves: Any) -> dict[str, np.ndarray]:
    return {key: np.array(as_array(Numpy(), leaf)) for key, leaf in leaves.items()}


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("layout", DIVIDED)
def test_ranks_are_joined_to_what_they_were(layout: str, count: int) -> None:
    model = random_model("Llama")
    state = to_layout(model.state_dict(), layout, from_layout="hf-llama", config=model.config)
    found, parts = divided_among(state, count)
    assert found.name == layout.removesuffix("-padded")  # the names and the axes are the same
    assert len(parts) == count
    whole, back = (
        arrays(state),
        arrays(joined_ranks({str(n): part for n, part in enumerate(parts)})),
    )
    assert whole.keys() == back.keys()
    assert all(np.array_equal(whole[key], back[key]) for key in whole)
    sizes = [sum(array.size for array in arrays(part).values()) for part in parts]
    assert len(set(sizes)) == 1
    assert count == 1 or sizes[0] < 0.7 * sum(array.size for array in whole.values())


@pytest.mark.parametrize("count", [0, -1, True, 1.5, 1 << 40])
def test_a_number_that_is_not_one_of_ranks_is_refused(count: Any) -> None:
    with pytest.raises(LayoutError, match="number of ranks is"):
        divided_among({"norm.weight": np.ones(3)}, count)


def test_parts_that_are_not_equal_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"output\.weight has 5 along axis 0, which 2 ranks"):
        divided_among({"output.weight": np.ones((5, 4))}, 2)


def test_keys_that_no_layout_divides_are_refused() -> None:
    with pytest.raises(LayoutError, match="no layout says how ranks divide its 1 tensor"):
        divided_among({"mine.weight": np.ones((4, 4))}, 2)
