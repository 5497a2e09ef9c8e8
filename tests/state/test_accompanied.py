"""A step on a packed weight with its scales is the step on the values that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LayoutError
from caten_sd.state.accompanied import Accompanied
from caten_sd.state.arrange import Arrange
from caten_sd.state.derived import derive
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder, Step

SHAPE = (8, 12)
SCALES = [(2, 3), (8, 1), (8,), (1, 1), (1,), (), (1, 12), (8, 12), (4, 1)]


def values(weight: Any, scale: Any) -> Any:
    """Return weight times scale, each element of the scale over its block."""
    weight, scale = (np.asarray(as_array(Numpy(), each)) for each in (weight, scale))
    if scale.size == 1 and scale.ndim < weight.ndim:
        return weight * scale.ravel()[0]
    scale = scale.reshape(scale.shape + (1,) * (weight.ndim - scale.ndim))
    for axis in range(weight.ndim):
        scale = np.repeat(scale, weight.shape[axis] // max(scale.shape[axis], 1), axis)
    return weight * scale


def leaf_of(scales: tuple[int, ...], seed: int) -> Accompanied:
    bits = np.random.default_rng(seed)
    weight = bits.integers(-100, 100, SHAPE).astype("i1")
    return Accompanied(weight, {"_scale": bits.random(scales)})


@st.composite
def steps(draw: Any) -> Step:
    axis = draw(st.integers(0, 1))
    start, stop = sorted(draw(st.tuples(st.integers(0, SHAPE[axis]), st.integers(0, SHAPE[axis]))))
    block = draw(st.sampled_from([1, 2, 4]))
    blocks = draw(st.permutations(range(SHAPE[axis] // block)))
    order = tuple(each * block + n for each in blocks for n in range(block))
    return draw(  # type: ignore[no-any-return]
        st.sampled_from(
            [
                Cut(axis, start, stop),
                Reorder(axis, order),
                Pick(axis, min(start, SHAPE[axis] - 1)),
                Permute((1, 0)),
                Join(axis),
                Pile(draw(st.integers(0, 2))),
            ]
        )
    )


@given(steps(), st.sampled_from(SCALES))
def test_a_step_is_the_one_on_the_values_or_is_refused(step: Step, scales: tuple[int, ...]) -> None:
    leaves = [leaf_of(scales, n) for n in range(2 if isinstance(step, (Join, Pile)) else 1)]
    try:
        moved = derive(step, leaves)
    except LayoutError:
        return
    meant = step.run(np, [values(leaf.weight, leaf.companions["_scale"]) for leaf in leaves])
    assert np.array_equal(values(moved.weight, moved.companions["_scale"]), meant)


DONE = [
    (Cut(0, 4, 8), (2, 3)),
    (Cut(1, 4, 12), (2, 3)),
    (Cut(1, 1, 3), (8, 1)),
    (Reorder(0, (4, 5, 6, 7, 0, 1, 2, 3)), (2, 3)),
    (Reorder(0, (7, 6, 5, 4, 3, 2, 1, 0)), (8,)),
    (Reorder(1, tuple(range(11, -1, -1))), (8,)),
    (Pick(0, 3), (8,)),
    (Permute((1, 0)), (2, 3)),
    (Permute((1, 0)), (1, 1)),
    (Join(0), (8, 1)),
    (Join(0), (2, 3)),
    (Pile(0), (2, 3)),
    (Pile(0), ()),
]


@pytest.mark.parametrize(("step", "scales"), DONE)
def test_what_keeps_the_blocks_is_done(step: Step, scales: tuple[int, ...]) -> None:
    leaves = [leaf_of(scales, n) for n in range(2 if isinstance(step, (Join, Pile)) else 1)]
    assert isinstance(derive(step, leaves), Accompanied)


@pytest.mark.parametrize(
    ("step", "scales"),
    [
        (Cut(0, 1, 5), (2, 3)),
        (Reorder(0, (1, 0, 2, 3, 4, 5, 6, 7)), (2, 3)),
        (Join(0), (1, 1)),
        (Join(0), (5, 3)),
        (Cut(1, 0, 6), (8, 5)),
        (Join(1), (4, 5)),
        (Permute((1, 0)), (8,)),
        (Pick(0, 1), (2, 3)),
        (Arrange(((-1,), (-1,)), (0, 1), (1, 1)), (8, 1)),
    ],
)
def test_what_parts_the_blocks_is_refused(step: Step, scales: tuple[int, ...]) -> None:
    leaves = [leaf_of(scales, n) for n in range(2 if isinstance(step, Join) else 1)]
    with pytest.raises(LayoutError, match="dequantize"):
        derive(step, leaves)


def test_units_of_other_kinds_do_not_become_one() -> None:
    with pytest.raises(LayoutError, match="packed in another way"):
        derive(Join(0), [leaf_of((8, 1), 0), np.zeros(SHAPE, "i1")])
    other = Accompanied(np.zeros(SHAPE, "i1"), {"SCB": np.ones(8)})
    with pytest.raises(LayoutError, match="packed in another way"):
        derive(Join(0), [leaf_of((8, 1), 0), other])
