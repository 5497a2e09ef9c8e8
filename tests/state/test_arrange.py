"""Axes that are split, reordered and joined, in numpy and torch, sliced and undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caten_sd.errors import LayoutError
from caten_sd.state.arrange import Arrange
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import derive
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Torch, as_array, spec

ARRAY = np.arange(48, dtype="f4").reshape(2, 6, 4)
HEADS = Arrange(((-1,), (3, -1), (-1,)), (0, 2, 1, 3), (1, 2, 1))


def test_numpy_and_torch_agree() -> None:
    meant = ARRAY.reshape(2, 3, 2, 4).transpose(0, 2, 1, 3).reshape(2, 6, 4)
    leaf = derive(HEADS, [ARRAY])
    assert np.array_equal(leaf.numpy(), meant)
    assert torch.equal(as_array(Torch(), leaf), torch.from_numpy(meant))


def test_undone_it_is_the_very_leaf() -> None:
    there = derive(HEADS, [ARRAY])
    assert derive(HEADS.undone(ARRAY.shape), [there]) is ARRAY
    relative = Arrange(((-1,), (-1, 3), (-1,)), (0, 2, 1, 3), (1, 2, 1))
    assert derive(relative, [there]) is ARRAY
    other = Arrange(((-1,), (3, -1), (-1,)), (0, 2, 1, 3), (1, 2, 1))
    assert derive(other, [there]) is not ARRAY


def test_a_slice_along_the_first_axis_reads_only_that() -> None:
    there = derive(HEADS, [ARRAY])
    part = there[1:2]
    assert np.array_equal(part.numpy(), there.numpy()[1:2])
    assert spec(part.leaves[0]).shape == (1, 6, 4)
    assert np.array_equal(there[:, 1:5, ::2].numpy(), there.numpy()[:, 1:5, ::2])


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


def test_blocks_stay_packed_where_the_last_axis_stays() -> None:
    raw = np.arange(2 * 6 * 34, dtype="u1").reshape(2, 6, 34)
    moved = derive(HEADS, [BlockTensor(Blocks(), raw, (2, 6, 32))])
    assert isinstance(moved, BlockTensor)
    assert (spec(moved).shape, spec(moved.raw).shape) == ((2, 6, 32), (2, 6, 34))
    turned = Arrange(((-1,), (-1,), (-1,)), (0, 2, 1), (1, 1, 1))
    assert not turned.keeps_rows(3)
    assert not Arrange(((-1,), (2, -1)), (0, 1, 2), (1, 2)).keeps_rows(2)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (((-1,), (-1,)), "does not have 2 axes"),
        (((-1,), (4, -1), (-1,)), "axis of 6 .* not a multiple of 4"),
        (((-1,), (4, 2), (-1,)), "axis of 6 .* not the product 8"),
        (((), (-1,), (-1,)), "axis of 2 .* not the product 1"),
    ],
)
def test_a_shape_without_the_factors_is_refused(
    split: tuple[tuple[int, ...], ...], said: str
) -> None:
    factors = sum(map(len, split))
    with pytest.raises(LayoutError, match=said):
        derive(Arrange(split, tuple(range(factors)), (1,) * factors), [ARRAY])
