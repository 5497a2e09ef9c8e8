"""A transposed array brought into C order, against ``numpy.ascontiguousarray``."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.state.c_order import contiguous

from .conftest import Race

# The c_attn of GPT-2 small, a projection of whole pages, stacked experts, an embedding.
SHAPES = [(768, 2304), (4096, 4096), (16, 1024, 512), (16000, 768)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["float32", "bfloat16"])
def test_transposed(race: Race, dtype: Any, shape: tuple[int, ...]) -> None:
    turned = np.swapaxes(np.ones(shape, dtype), -1, -2)
    what = f"C order of transposed {np.dtype(dtype).name} {shape} / ascontiguousarray"
    race(what, lambda: contiguous(turned), lambda: np.ascontiguousarray(turned), 1.0)
