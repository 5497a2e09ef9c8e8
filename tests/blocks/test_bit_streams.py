"""Numbers of a few bits come out of words as Python's integers hold them."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.blocks.bit_streams import numbers_in


@pytest.mark.parametrize("dtype", ["<u4", ">u4", "<i4", "<u2"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8])
def test_numbers_are_those_of_the_whole_integer(bits: int, dtype: str) -> None:
    rows = np.random.default_rng(bits).integers(0, 256, (2, 3, 24)).astype("u1")
    words = rows.view(dtype[:1].replace(">", "<") + dtype[1:]).astype(dtype)
    count = 24 * 8 // bits - 1
    for found, row in zip(
        numbers_in(words, bits, count).reshape(-1, count), rows.reshape(-1, 24), strict=True
    ):
        whole = int.from_bytes(row.tobytes(), "little")
        assert found.tolist() == [whole >> bits * at & (1 << bits) - 1 for at in range(count)]
