from __future__ import annotations

import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType
from gguf.quants import _type_traits

from caten_sd.blocks.grids import grid


@pytest.mark.parametrize("name", ["iq1_s", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"])
def test_a_grid_is_that_of_gguf_py(name: str) -> None:
    theirs = _type_traits[GGMLQuantizationType[name.upper()]]
    theirs.init_grid()
    ours = grid(name, tuple(map(int, theirs.grid_map))).view(np.int8)
    np.testing.assert_array_equal(ours, theirs.grid.reshape(theirs.grid_shape))
