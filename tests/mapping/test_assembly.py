import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Concat, Split, Stack, Unstack
from caten_sd.mapping.operations import POSITION, Operand, Operation
from caten_sd.state.leaf import Numpy, as_array


def run(operation: Operation, operand: Any) -> Operand:
    """Apply an operation and give every result its own memory."""
    result = operation.apply(operand)
    return {at: np.array(as_array(Numpy(), leaf)) for at, leaf in result.items()}


def parts(*leaves: Any) -> Operand:
    return {((POSITION, n),): leaf for n, leaf in enumerate(leaves)}


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(
        one[at].shape == other[at].shape and one[at].tobytes() == other[at].tobytes() for at in one
    )


SHARES = st.lists(st.integers(1, 3), min_size=2, max_size=4).map(tuple)


@given(st.data(), SHARES, st.integers(0, 2))
def test_splitting_and_joining_are_inverse(data: Any, shares: Any, unit: int) -> None:
    axis = data.draw(st.integers(0, 2))
    shape = [2, 3, 2]
    shape[axis] = sum(shares) * unit
    whole = {(): data.draw(arrays.arrays("f4", tuple(shape)))}
    split = Split(shares, axis)
    pieces = run(split, whole)
    assert [leaf.shape[axis] for leaf in pieces.values()] == [share * unit for share in shares]
    assert same(run(split.inverse(), pieces), whole)
    assert same(run(Split(shares, axis), run(Concat(shares, axis), pieces)), pieces)


@given(st.data(), st.integers(1, 4))
def test_stacking_and_unstacking_are_inverse(data: Any, count: int) -> None:
    axis = data.draw(st.integers(0, 2))
    leaves: Operand = {(("e", n),): data.draw(arrays.arrays("f4", (2, 3))) for n in range(count)}
    stacked = run(Stack("e", axis), leaves)
    assert np.array_equal(stacked[()], np.stack(list(leaves.values()), axis), equal_nan=True)
    assert same(run(Unstack("e", axis), stacked), leaves)
    assert same(run(Stack("e", axis), run(Unstack("e", axis), stacked)), stacked)


def test_stacking_goes_by_index_and_not_by_order() -> None:
    leaves = {(("e", n),): np.full(1, n) for n in (10, 2, *range(3, 10), 0, 1)}
    assert run(Stack("e"), leaves)[()].ravel().tolist() == list(range(11))


def test_parts_stay_lazy_and_come_back_as_the_very_leaf() -> None:
    whole = np.arange(12.0).reshape(6, 2)
    pieces = Split((1, 2)).apply({(): whole})
    assert all(np.shares_memory(piece.numpy(), whole) for piece in pieces.values())
    assert Concat((1, 2)).apply(pieces)[()] is whole
    joined = Concat((1, 2)).apply(parts(whole[:2], whole[2:]))
    assert [leaf.shape for leaf in Split((1, 2)).apply(joined).values()] == [(2, 2), (4, 2)]
    lone: Operand = {(("e", 0),): whole}
    one = Unstack("e").apply(Stack("e").apply(lone))
    assert one[("e", 0),] is whole


def test_parts_in_another_order_are_not_taken_for_the_whole() -> None:
    whole = np.arange(6.0).reshape(6, 1)
    first, second = Split((1, 1)).apply({(): whole}).values()
    turned = Concat((1, 1)).apply(parts(second, first))[()]
    assert turned is not whole
    assert turned.numpy().ravel().tolist() == [3, 4, 5, 0, 1, 2]
    rows = Unstack("e").apply({(): whole})
    swapped: Operand = {(("e", 5 - dict(at)["e"]),): leaf for at, leaf in rows.items()}
    assert Stack("e").apply(swapped)[()].numpy().ravel().tolist() == [5, 4, 3, 2, 1, 0]


def test_shares_by_name_are_looked_up() -> None:
    concat = Concat(("n_head", "n_kv_head", "n_kv_head"))
    numbers = {"n_head": 4, "n_kv_head": 1}
    bound = concat.bind(numbers.__getitem__)
    joined = run(bound, parts(np.zeros((8, 1)), np.ones((2, 1)), np.ones((2, 1))))
    assert joined[()].shape == (12, 1)
    assert [leaf.shape[0] for leaf in run(bound.inverse(), joined).values()] == [8, 2, 2]
    with pytest.raises(LayoutError, match=r"n_head .* bind"):
        concat.apply(parts(np.zeros(2), np.zeros(2), np.zeros(2)))


@pytest.mark.parametrize(
    ("operation", "operand", "said"),
    [
        (Concat((1, 1)), parts(np.zeros(2), np.zeros(3)), r"\[2, 3\] .* axis 0 .* \[1, 1\]"),
        (Concat((2, 1)), parts(np.zeros(2), np.zeros(4)), "lengths of .2, 4. .* shares"),
        (
            Concat((1, 1)),
            parts(np.zeros((2, 3)), np.zeros((2, 4))),
            r"\(2, 3\), \(2, 4\) .* axis 0",
        ),
        (Concat((1, 1)), parts(np.zeros(2, "f4"), np.zeros(2)), "float32 and float64 .* cast"),
        (Split((1, 1)), {(): np.zeros(3)}, r"axis 0 of [35] .* \[1, 1\]"),
        (Split((1, 1), 1), {(): np.zeros(4)}, "has no axis 1"),
        (Unstack("e", 2), {(): np.zeros((2, 2))}, "has no axis 2"),
        (Unstack("e"), {(): np.zeros((0, 2))}, "axis 0 of 0 "),
        (Unstack("e"), {(): np.zeros((1 << 40, 0))}, f"axis 0 of {1 << 40} "),
        (Stack("e", 3), {(("e", 0),): np.zeros((2, 2))}, "new axis 3"),
        (
            Stack("e"),
            {(("e", 0),): np.zeros(2), (("e", 1),): np.zeros(3)},
            r"\(2,\), \(3,\) ",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    operation: Operation, operand: Operand, said: str
) -> None:
    with pytest.raises(LayoutError, match=said):
        operation.apply(operand)


@pytest.mark.parametrize("make", [Concat, Split])
def test_shares_that_cannot_divide_an_axis_are_refused(make: Any) -> None:
    for wrong in [(), (1,), (1, 0), ("0*n", 1)]:
        with pytest.raises(LayoutError, match=rf"{re.escape(str(wrong))} .* give two or more"):
            make(wrong)
    with pytest.raises(LayoutError, match=r"axis -1 .* from the front"):
        make((1, 1), -1)


@pytest.mark.parametrize("make", [Stack, Unstack])
def test_only_an_index_is_stacked_over(make: Any) -> None:
    for wrong in ("expert", "", "1"):
        with pytest.raises(LayoutError, match=f"{wrong!r} .* one letter"):
            make(wrong)
