from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LayoutError
from caten_sd.mapping.heads import PACKINGS, Regroup, Rotary, packing, regrouped_order, rotary_order
from caten_sd.mapping.operations import Identity, Operation
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Numpy, as_array, spec


def rows(operation: Operation, count: int) -> list[int]:
    """Return where each row of the result came from."""
    leaf = operation.leaf(np.arange(count * 3, dtype="f4").reshape(count, 3))
    return [int(row[0]) // 3 for row in as_array(Numpy(), leaf)]


def test_case_13_rotary_rows_need_the_head_count() -> None:
    assert rows(Rotary(2), 8) == [0, 2, 1, 3, 4, 6, 5, 7]
    assert rows(Rotary(1), 8) == [0, 2, 4, 6, 1, 3, 5, 7]
    assert rows(Rotary(1, to="pairs"), 8) == [0, 4, 1, 5, 2, 6, 3, 7]
    with pytest.raises(LayoutError, match=r"n_kv_head .* bind"):
        Rotary("n_kv_head").leaf(np.zeros((8, 2)))


def test_case_14_packing_per_head_and_back() -> None:
    per_head = packing("per_head", heads=2)
    assert rows(per_head, 12) == [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]
    array = np.random.default_rng(0).random((12, 3), "f4")
    packed = np.array(as_array(Numpy(), per_head.leaf(array)))
    assert np.array_equal(as_array(Numpy(), per_head.inverse().leaf(packed)), array)


def test_case_14_an_unknown_packing_is_an_error() -> None:
    with pytest.raises(LayoutError, match=r"'per_row' .* block, per_head"):
        packing("per_row")


def test_a_group_of_queries_goes_with_its_key_and_value() -> None:
    # 4 query heads and 2 key-value heads of one row each: [q q q q | k k | v v].
    assert rows(packing("per_kv_group", heads=4, kv_heads=2), 8) == [0, 1, 4, 6, 2, 3, 5, 7]
    assert rows(packing("chunks", heads=4, kv_heads=2, chunks=2), 8) == [0, 1, 4, 6, 2, 3, 5, 7]
    assert isinstance(packing("block"), Identity)


HEADS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))


@given(HEADS)
def test_rotary_is_what_transformers_does(sizes: tuple[int, int, int]) -> None:
    heads, half, width = sizes
    array = np.arange(heads * 2 * half * width).reshape(-1, width)
    # After `permute` of transformers' convert_llama_weights_to_hf.py.
    meant = array.reshape(heads, half, 2, width).transpose(0, 2, 1, 3).reshape(-1, width)
    assert np.array_equal(as_array(Numpy(), Rotary(heads).leaf(array)), meant)


@given(st.integers(1, 3), st.sampled_from(PACKINGS), st.integers(0, 1))
def test_every_operation_on_heads_comes_back(groups: int, name: str, axis: int) -> None:
    numbers = {"n_head": 3 * groups, "n_kv_head": groups, "n_chunk": groups}
    for operation in (packing(name), Rotary("n_head", axis=axis), Regroup((2, 1), "n_kv_head")):
        bound = operation.bind(numbers.__getitem__)
        shape = (90 * groups, 6 * groups)
        array = np.arange(shape[0] * shape[1], dtype="i4").reshape(shape)
        there = np.array(as_array(Numpy(), bound.leaf(array)))
        assert np.array_equal(np.sort(there, None), array.ravel())
        assert np.array_equal(as_array(Numpy(), bound.inverse().leaf(there)), array)
        assert bound.inverse().leaf(bound.leaf(array)) is array


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (lambda: rotary_order(9, 1), "axis of 9 .* 1 head of an even dimension"),
        (lambda: rotary_order(8, 0), "axis of 8 .* 0 heads"),
        (lambda: rotary_order(8, 3), "axis of 8 .* 3 heads"),
        (lambda: regrouped_order((4, 6), 4), r"\[4, 6\] .* 4 groups"),
        (lambda: Rotary(2).leaf(np.zeros((1 << 40, 0))), f"axis of {1 << 40} .* 2 heads"),
        (lambda: Rotary(2, to="thirds"), "'halves' or 'pairs', .*'thirds'"),
        (lambda: Rotary(2, axis=-1), "axis -1 .* from the front"),
    ],
)
def test_head_counts_that_cannot_be_are_refused(order: Any, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        order()


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


def test_rows_of_packed_blocks_are_moved_packed() -> None:
    raw = np.arange(8 * 34, dtype="u1").reshape(8, 34)
    leaf = BlockTensor(Blocks(), raw, (8, 32))
    moved = Rotary(2).leaf(leaf)
    assert isinstance(moved, BlockTensor)
    assert spec(moved) == spec(leaf)
    assert np.array_equal(as_array(Numpy(), moved.raw), raw[[0, 2, 1, 3, 4, 6, 5, 7]])
    across = Rotary(2, axis=1).leaf(leaf)
    assert spec(across).dtype.name == "float32", "a row's elements share their block"
