"""How fast a transposed matrix is brought into C order, beside ``numpy.ascontiguousarray``.

Run with ``pytest tests/benchmarks/test_c_order.py --benchmark-enable -m ''``: the figure in
brackets is the ratio to the fastest of a group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.leaves.c_order import contiguous

# The c_attn of GPT-2 small, a projection of whole pages, stacked experts, an embedding.
SHAPES = [(768, 2304), (4096, 4096), (16, 1024, 512), (16000, 768)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("way", [contiguous, np.ascontiguousarray])
def test_transposed(
    benchmark: Any, way: Callable[[Any], Any], dtype: Any, shape: tuple[int, ...]
) -> None:
    benchmark.group = f"{np.dtype(dtype).name} {shape}"
    turned = np.swapaxes(np.ones(shape, dtype), -1, -2)
    result = benchmark.pedantic(way, (turned,), rounds=3, warmup_rounds=1)
    assert result.flags.c_contiguous
