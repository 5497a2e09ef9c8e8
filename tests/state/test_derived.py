"""Derived leaves: steps that cancel, blocks that stay packed, and what a file reads."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd.errors import LayoutError
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derivation import turns_square
from caten_sd.state.derived import Derived, derive
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, Torch, as_array, spec
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder

ARRAY = np.arange(24, dtype="f4").reshape(2, 3, 4)


def test_a_leaf_says_what_it_is() -> None:
    leaf = derive(Permute((1, 0)), [np.zeros((2, 3), ml_dtypes.bfloat16)])
    assert repr(leaf) == "Derived(bfloat16, [3, 2], Permute)"
    assert len(leaf) == 3
    assert leaf.torch().dtype is torch.bfloat16
    assert np.array(leaf, copy=True).base is None


def test_a_parameter_gives_its_values_and_no_graph() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    result = as_array(Torch(), derive(Permute((1, 0)), [weight]))
    assert not result.requires_grad
    assert result.data_ptr() == weight.data_ptr()


def test_steps_that_cancel_leave_nothing() -> None:
    parts = [ARRAY.copy(), ARRAY.copy()]
    piled, joined = derive(Pile(1), parts), derive(Join(0), parts)
    assert derive(Pick(1, 1), [piled]) is parts[1]
    assert derive(Cut(0, 2, 4), [joined]) is parts[1]
    assert isinstance(derive(Cut(0, 1, 3), [joined]), Derived)
    assert isinstance(derive(Pick(0, 1), [piled]), Derived)
    assert derive(Join(0), parts[:1]) is parts[0]
    assert derive(Cut(0, 0, 2), parts[:1]) is parts[0]
    once = derive(Reorder(0, (1, 0)), parts[:1])
    assert derive(Reorder(0, (1, 0)), [once]) is parts[0]
    assert isinstance(derive(Reorder(1, (1, 0, 2)), [once]), Derived)


def test_two_permutes_become_one() -> None:
    twice = derive(Permute((1, 2, 0)), [derive(Permute((1, 2, 0)), [ARRAY])])
    assert twice.leaves == (ARRAY,)
    assert np.array_equal(twice.numpy(), ARRAY.transpose(1, 2, 0).transpose(1, 2, 0))


def test_a_square_transpose_is_found_in_any_derivation() -> None:
    square, oblong = np.zeros((3, 3)), np.zeros((3, 4))
    turned = derive(Permute((1, 0)), [square])
    assert turns_square(turned)
    assert turns_square(derive(Cut(0, 0, 1), [turned]))
    assert not turns_square(derive(Permute((1, 0)), [oblong]))
    assert not turns_square(square)


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


def test_packed_blocks_stay_packed_where_complete_rows_move() -> None:
    raw = np.arange(2 * 4 * 34, dtype="u1").reshape(2, 4, 34)
    leaf = BlockTensor(Blocks(), raw, (2, 4, 32))
    for step, shape in [
        (Permute((1, 0, 2)), (4, 2, 32)),
        (Cut(1, 0, 2), (2, 2, 32)),
        (Pick(0, 1), (4, 32)),
        (Pile(0), (1, 2, 4, 32)),
    ]:
        moved = derive(step, [leaf])
        assert isinstance(moved, BlockTensor)
        assert spec(moved).shape == shape
        assert spec(moved.raw).shape == (*shape[:-1], 34)
    turned = derive(Permute((0, 2, 1)), [leaf])
    assert (spec(turned).shape, spec(turned).dtype.name) == ((2, 32, 4), "float32")


def test_blocks_and_floats_become_one_only_unpacked() -> None:
    leaf = BlockTensor(Blocks(), np.zeros((4, 34), "u1"), (4, 32))
    joined = derive(Join(0), [leaf, np.zeros((1, 32), "f4")])
    assert spec(joined).shape == (5, 32)
    with pytest.raises(LayoutError, match="float32 and float16 cannot become one"):
        derive(Join(0), [leaf, np.zeros((1, 32), "f2")])


def test_four_bit_floats_are_not_torn_apart_by_torch() -> None:
    nibbles = np.zeros((4, 8), ml_dtypes.float4_e2m1fn)
    turned = derive(Permute((1, 0)), [nibbles])
    assert turned.numpy().shape == (8, 4)
    assert turned.dtype.nbytes(32) == 16
    with pytest.raises(LayoutError, match="packed along the last axis"):
        turned.torch()


def test_a_derived_leaf_is_state() -> None:
    leaf = derive(Permute((1, 0)), [np.zeros((2, 3))])
    assert dict(get_state_dict({"a": [leaf]})) == {"a.0": leaf}


class Recorded:
    """A source of sixty-four bytes that remembers what was read."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []

    def view(self, start: int, count: int) -> memoryview:
        self.reads.append((start, count))
        return memoryview(bytearray(range(64)))[start : start + count]


@pytest.mark.parametrize("kind", [Numpy(), Torch()])
def test_a_slice_of_a_file_reads_only_its_rows(kind: Any) -> None:
    source = Recorded()
    whole = LazyTensor(source, 0, DTYPES["uint8"], (8, 8))  # type: ignore[arg-type]
    rows = as_array(kind, derive(Cut(0, 2, 4), [whole]))
    row = as_array(kind, derive(Pick(0, 7), [whole]))
    assert rows.tolist() == [list(range(16, 24)), list(range(24, 32))]
    assert row.tolist() == list(range(56, 64))
    assert source.reads == [(16, 16), (56, 8)]
