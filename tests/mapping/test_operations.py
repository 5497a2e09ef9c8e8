import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caten_sd.errors import LayoutError
from caten_sd.mapping.operations import (
    Chain,
    Identity,
    NegExp,
    Offset,
    Operand,
    Operation,
    Scale,
    Transpose,
)
from caten_sd.state.derived import Derived
from caten_sd.state.leaf import Numpy, Torch, as_array, spec


def run(operation: Operation, array: Any) -> Any:
    """Apply an operation to one array and give the result its own memory."""
    result = as_array(Numpy(), operation.leaf(array))
    return np.array(result, order="C")


ARRAYS: Any = arrays.arrays(
    st.sampled_from([np.dtype("f4"), np.dtype("f2"), np.dtype("i8"), np.dtype("?")]),
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(st.data(), ARRAYS)
def test_transpose_and_back_is_bit_exact(data: st.DataObject, array: Any) -> None:
    axes = data.draw(st.none() | st.permutations(range(array.ndim)).map(tuple))
    operation = Transpose(axes)
    moved = run(operation, array)
    assert moved.tobytes() == np.transpose(array, axes).tobytes()
    back = run(operation.inverse(), moved)
    assert (back.shape, back.tobytes()) == (array.shape, array.tobytes())


def test_case_12_a_convolution_kernel_goes_to_oihw_and_back() -> None:
    kernel = np.arange(120, dtype="f4").reshape(2, 3, 4, 5)
    to_oihw = Transpose((3, 2, 0, 1))
    moved = to_oihw.leaf(kernel)
    assert spec(moved).shape == (5, 4, 2, 3)
    assert moved.numpy()[4, 3, 1, 2] == kernel[1, 2, 3, 4]
    assert np.array_equal(run(to_oihw.inverse(), moved.numpy()), kernel)


def test_a_transpose_undone_is_the_very_leaf() -> None:
    array = np.zeros((2, 3))
    moved = Transpose().leaf(array)
    assert isinstance(moved, Derived)
    assert Transpose().leaf(moved) is array
    assert np.shares_memory(moved.numpy(), array), "a transpose copies nothing"


def test_torch_computes_the_same_as_numpy() -> None:
    values = torch.arange(24, dtype=torch.bfloat16).reshape(2, 3, 4)
    moved = Transpose((1, 2, 0)).leaf(values)
    assert torch.equal(as_array(Torch(), moved), values.permute(1, 2, 0))
    assert as_array(Numpy(), moved).dtype.name == "bfloat16"


@pytest.mark.parametrize("axes", [(0, 0), (1, 2), (0, -1)])
def test_axes_that_are_not_an_order_are_refused(axes: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match=rf"{re.escape(str(axes))} .* 0 to 1 once"):
        Transpose(axes)


def test_axes_of_another_rank_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"shape \(3,\) .* axes \(1, 0\)"):
        Transpose((1, 0)).leaf(np.zeros(3))


def test_what_is_not_a_tensor_can_only_be_renamed() -> None:
    assert Identity().leaf("state") == "state"
    for operation in (Transpose(), Offset(1.0)):
        with pytest.raises(LayoutError, match="a str is not a tensor"):
            operation.leaf("state")


@given(arrays.arrays("f4", 5, elements=st.integers(-(2**20), 2**20).map(float)))
def test_an_offset_comes_back_where_the_sum_is_exact(array: Any) -> None:
    moved = run(Offset(1.0), array)
    assert np.array_equal(moved, array + np.float32(1))
    assert run(Offset(1.0).inverse(), moved).tobytes() == array.tobytes()


def test_an_offset_rounds_only_what_is_stored() -> None:
    tiny = np.array([1e-12], "f4")
    moved = Offset(1.0).leaf(tiny)
    assert Offset(-1.0).leaf(moved) is tiny
    assert run(Offset(-1.0), moved.numpy())[0] == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_an_offset_keeps_the_dtype(dtype: str) -> None:
    values = torch.tensor([0.5, 1.0], dtype=getattr(torch, dtype))
    moved = Offset(1).leaf(values)
    for kind in (Numpy(), Torch()):
        result = as_array(kind, moved)
        assert str(result.dtype).removeprefix("torch.") == dtype
        assert [float(x) for x in result] == [1.5, 2.0]
    assert as_array(Numpy(), Offset(1).leaf(np.full((), 2, "f4"))).shape == ()


def test_an_offset_is_for_floats() -> None:
    with pytest.raises(LayoutError, match=r"\+1 .* floats .* int64"):
        Offset(1).leaf(np.zeros(2, "i8"))


def test_a_chain_is_undone_last_first() -> None:
    chain = Chain(Transpose((1, 2, 0)), Offset(2.0))
    assert chain.inverse() == Chain(Offset(-2.0), Transpose((2, 0, 1)))
    array = np.arange(24, dtype="f4").reshape(2, 3, 4)
    there: Operand = {(): array}
    for operation in (chain, chain.inverse()):
        there = {at: np.array(leaf.numpy()) for at, leaf in operation.apply(there).items()}
    assert np.array_equal(there[()], array)


VALUES = [Offset(1.0), Offset(-3.5), Scale(12.0), Scale(-0.125), Scale(1e-3), NegExp()]
VALUES += [Chain(NegExp(), Transpose()), Chain(Scale(3.0), Offset(2.0))]


@example(Scale(-0.125), np.full((2, 3), 2**-24, "f4"), "float16")
@given(
    st.sampled_from(VALUES),
    arrays.arrays("f4", (2, 3), elements=st.floats(-8, 8, width=32)),
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
)
def test_new_values_come_back_within_the_stated_tolerance(
    operation: Operation, array: Any, dtype: str
) -> None:
    values = torch.from_numpy(array).to(getattr(torch, dtype))
    there = (
        operation.leaf(values) if not isinstance(operation, Chain) else chained(operation, values)
    )
    stored = as_array(Torch(), there).clone()
    numpy_stored = np.array(as_array(Numpy(), there)).astype("f8")
    assert np.allclose(numpy_stored, stored.to(torch.float64).numpy(), rtol=1e-2, atol=1e-2)
    back = chained(operation.inverse(), stored)
    off = (as_array(Torch(), back).double() - values.double()).abs()
    most = operation.tolerance * torch.finfo(values.dtype).eps
    assert stored.dtype == values.dtype
    assert bool((off <= most * values.double().abs().clamp(min=1.0)).all())
    assert chained(operation.inverse(), there) is values, "not stored, it is the very leaf"


def chained(operation: Operation, leaf: Any) -> Any:
    return operation.apply({(): leaf})[()]


def test_a_chain_is_as_tolerant_as_all_of_it() -> None:
    assert Chain(Offset(1.0), Scale(3.0), Transpose()).tolerance == 4.0
    assert Transpose().tolerance == 0.0


def test_new_values_are_of_floats() -> None:
    for operation in (Scale(2.0), NegExp()):
        with pytest.raises(LayoutError, match=r"floats only.* int64"):
            operation.leaf(np.zeros(2, "i8"))
    for by in (0.0, float("inf"), float("nan")):
        with pytest.raises(LayoutError, match="cannot be undone"):
            Scale(by)
