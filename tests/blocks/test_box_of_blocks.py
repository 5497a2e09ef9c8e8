"""A box of the bytes of computed blocks is what numpy cuts out of them all."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from caten_sd.blocks.big_endian import SwappedBlocks
from caten_sd.blocks.block_types import block_type
from caten_sd.blocks.quantized_leaf import QuantizedLeaf
from caten_sd.state.backing import BytesBacking
from caten_sd.state.derived import sliced
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

Q8_0 = block_type("q8_0")


def quantized() -> Any:
    return QuantizedLeaf(np.random.default_rng(0).standard_normal((3, 96), "f4"), Q8_0)


def swapped() -> Any:
    data = np.random.default_rng(0).integers(0, 256, (3, 102), "u1").tobytes()
    source = Source("w", BytesBacking(data), 0, len(data))
    return SwappedBlocks(LazyTensor(source, 0, DTYPES["uint8"], (3, 102)), Q8_0)


@pytest.mark.parametrize("make", [quantized, swapped])
def test_a_box_of_blocks(make: Any) -> None:
    leaf, edges = make(), (0, 1, 33, 34, 35, 68, 101, 102)
    for start, stop in itertools.combinations(edges, 2):
        box = (slice(1, 3), slice(start, stop))
        np.testing.assert_array_equal(sliced(leaf, box).numpy(), leaf.numpy()[box])
    assert sliced(leaf, (slice(1, 1), slice(0, 34))).numpy().shape == (0, 34)
