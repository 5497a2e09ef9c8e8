"""4-bit elements, two to a byte."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caten_sd.state.nibbles import packed, unpacked


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3), elements=st.integers(0, 15)))
def test_packing_is_undone(array: np.ndarray) -> None:  # type: ignore[type-arg]
    raw = packed(array)
    assert raw.nbytes == -(-array.size // 2)
    assert np.array_equal(unpacked(raw, array.shape), array)


def test_the_first_element_lies_low_as_in_torch() -> None:
    halves = np.array([0.5, -6.0, 1.5, 0.0], ml_dtypes.float4_e2m1fn)
    raw = packed(halves)
    assert raw.tolist() == [0x1 | 0xF << 4, 0x3 | 0x0 << 4]
    assert torch.from_numpy(raw).view(torch.float4_e2m1fn_x2).shape == (2,)
    assert np.array_equal(unpacked(raw, (4,)).view(halves.dtype), halves)
