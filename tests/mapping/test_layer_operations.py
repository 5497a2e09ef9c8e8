"""Flips, sums of biases and what else lies between layers: shapes, values, and the way back."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import LayoutError, to_layout
from caten_sd.layout import Chain, Flip, GruBiases, Layout, Row, SumOfBiases, Transpose
from caten_sd.mapping.layer_operations import (
    FirstSplit,
    WithConstant,
    WithoutZeros,
    by_position,
    in_order,
)
from caten_sd.mapping.operations import Operation
from caten_sd.state.leaf import Numpy, Spec, as_array, spec

RANDOM = np.random.default_rng(0)
BIASES = [RANDOM.standard_normal(6).astype("f4") for _ in range(2)]


def done(operation: Operation, *leaves: Any) -> list[Any]:
    return [as_array(Numpy(), each) for each in in_order(operation.apply(by_position(leaves)))]


def test_a_flip_is_its_own_inverse_on_any_axes() -> None:
    kernel = RANDOM.standard_normal((2, 3, 4, 5))
    (flipped,) = done(Flip((2, 3)), kernel)
    assert np.array_equal(flipped, kernel[:, :, ::-1, ::-1])
    assert np.array_equal(done(Flip((2, 3)).inverse(), flipped)[0], kernel)
    with pytest.raises(LayoutError, match="no axis 3"):
        done(Flip((3,)), np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ml_dtypes.bfloat16], ids=str)
def test_two_biases_are_one_and_a_bias_is_zeros_and_itself(dtype: Any) -> None:
    biases = [each.astype(dtype) for each in BIASES]
    (added,) = done(SumOfBiases(), *biases)
    wide = sum(each.astype("f8") for each in biases)
    assert added.dtype == biases[0].dtype
    assert np.allclose(added.astype("f8"), wide, rtol=2 * ml_dtypes.finfo(dtype).eps, atol=1e-3)
    zeros, same = done(SumOfBiases().inverse(), added)
    assert not zeros.astype("f4").any()
    assert same.tobytes() == added.tobytes()
    assert done(SumOfBiases(), zeros, same)[0].tobytes() == added.tobytes()


def test_the_biases_of_a_gru_keep_that_of_the_new_gate_apart() -> None:
    joined, new = done(GruBiases(), *BIASES)
    inputs, hidden = BIASES
    assert np.allclose(joined, np.concatenate([inputs[:4] + hidden[:4], inputs[4:]]))
    assert np.array_equal(new, hidden[4:])
    back = done(GruBiases().inverse(), joined, new)
    assert np.array_equal(back[0], joined)
    assert np.array_equal(back[1], np.concatenate([np.zeros(4, "f4"), new]))
    parts = done(Chain(GruBiases(), FirstSplit()), *BIASES)
    assert [len(each) for each in parts] == [2, 2, 2, 2]
    again = done(Chain(GruBiases(), FirstSplit()).inverse(), *parts)
    assert np.array_equal(again[0], joined)


@pytest.mark.parametrize(
    ("operation", "leaves", "match"),
    [
        (WithoutZeros(), [BIASES[0], np.ones(2)], "new gate in the hidden state is not 0"),
        (GruBiases(), [np.ones(4), np.ones(4)], "4 elements is not that of three gates"),
        (SumOfBiases(), [np.ones(4), np.ones(3)], "cannot be added"),
        (SumOfBiases(), [np.ones(4, "i4"), np.ones(4, "i4")], "computed of floats only"),
        (WithConstant(what="a flag").inverse(), [np.ones(2), np.ones(())], "a flag is not 0"),
    ],
)
def test_what_another_world_has_no_place_for_is_refused(
    operation: Operation, leaves: list[Any], match: str
) -> None:
    with pytest.raises(LayoutError, match=match):
        done(operation, *leaves)


def test_abstract_leaves_pass_with_their_shapes() -> None:
    class Abstract:
        shape, dtype = (6,), "float32"

    @spec.register(Abstract)
    def _spec(leaf: Abstract) -> Spec:
        return spec(BIASES[0])._replace(nbytes=0)

    added = SumOfBiases().apply(by_position([Abstract(), Abstract()]))
    assert spec(added[()]).shape == (6,)
    left = WithoutZeros().apply(by_position([Abstract(), Abstract()]))
    assert spec(left[()]).shape == (6,)


def test_they_are_operations_of_rows() -> None:
    layout = Layout(
        "cells",
        [
            Row(("b.i", "b.h"), "bias", SumOfBiases()),
            Row("up", "kernel", Chain(Flip((2,)), Transpose((2, 0, 1)))),
        ],
    )
    state = {"b.i": BIASES[0], "b.h": BIASES[1], "up": RANDOM.standard_normal((2, 3, 4))}
    there = to_layout(state, layout, from_layout=layout.canonical)
    back = to_layout(there, layout.canonical, from_layout=layout)
    assert np.array_equal(np.asarray(back["up"]), state["up"])
    assert np.allclose(np.asarray(back["b.h"]), BIASES[0] + BIASES[1])
    with pytest.raises(LayoutError, match="takes 2 tensors"):
        Layout("wrong", [Row("b", "bias", SumOfBiases())])


def test_slices_of_sums_read_slices() -> None:
    (added,) = in_order(SumOfBiases().apply(by_position(BIASES)))
    assert np.array_equal(np.asarray(added[2:4]), (BIASES[0] + BIASES[1])[2:4])
