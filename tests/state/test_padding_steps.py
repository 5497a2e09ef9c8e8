"""Axes made longer by a value and cut, in numpy and torch; one undoes the other."""

from __future__ import annotations

import numpy as np
import torch

from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derivation import is_padded, is_trimmed, whole_before
from caten_sd.state.derived import Derived, derive
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Torch, as_array, spec
from caten_sd.state.padding_steps import Padded, Trimmed
from caten_sd.state.steps import Pile

ARRAY = np.arange(24, dtype="f4").reshape(2, 3, 4)


def test_numpy_and_torch_pad_alike() -> None:
    leaf = derive(Padded(1, 2, 1, 7.0), [ARRAY])
    meant = np.pad(ARRAY, [(0, 0), (2, 1), (0, 0)], constant_values=7)
    assert spec(leaf).shape == meant.shape
    assert np.array_equal(leaf.numpy(), meant)
    assert torch.equal(as_array(Torch(), leaf), torch.from_numpy(meant))
    assert np.array_equal(leaf[:, 1:4].numpy(), meant[:, 1:4])
    assert is_padded(leaf)


def test_a_trim_remembers_what_it_was_cut_from() -> None:
    leaf = derive(Trimmed(1, 1, 3), [ARRAY])
    assert np.array_equal(leaf.numpy(), ARRAY[:, 1:3])
    assert whole_before(leaf) == (ARRAY, leaf.step)
    assert is_trimmed(derive(Trimmed(0, 0, 1), [leaf]))
    assert derive(Trimmed(1, 0, 3), [ARRAY]) is ARRAY
    assert whole_before(ARRAY) == (ARRAY, None)


def test_a_trim_undoes_a_padding_of_the_same_elements_only() -> None:
    longer = derive(Padded(1, 2, 1), [ARRAY])
    assert derive(Trimmed(1, 2, 5), [longer]) is ARRAY
    for other in (Trimmed(1, 1, 4), Trimmed(2, 2, 3), Trimmed(1, 2, 4)):
        assert isinstance(derive(other, [longer]), Derived)


def test_a_trim_of_an_axis_that_the_step_before_it_made() -> None:
    piled = derive(Pile(0), [ARRAY, ARRAY])
    assert np.array_equal(derive(Trimmed(3, 1, 3), [piled]).numpy(), piled.numpy()[..., 1:3])


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


def test_blocks_stay_packed_where_rows_are_cut() -> None:
    raw = np.arange(4 * 34, dtype="u1").reshape(4, 34)
    leaf = BlockTensor(Blocks(), raw, (4, 32))
    cut = derive(Trimmed(0, 0, 3), [leaf])
    assert isinstance(cut, BlockTensor)
    whole, step = whole_before(cut)
    assert (whole.shape, whole.raw, step) == ((4, 32), raw, Trimmed(0, 0, 3))
    assert whole_before(leaf) == (leaf, None)
