"""Packed blocks."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd import CatenError
from caten_sd.extend import spec
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DType


def test_blocks_say_what_they_are() -> None:
    class Pairs:
        dtype = DType("pairs", "block", 16, 2)

    leaf = BlockTensor(Pairs(), np.zeros((3, 4), "u1"), (3, 4))
    assert spec(leaf)[:3] == ((3, 4), Pairs.dtype, 12)
    assert repr(leaf) == "BlockTensor(pairs, [3, 4])"
    with pytest.raises(CatenError, match="no method of dequantize takes"):
        leaf.numpy()
