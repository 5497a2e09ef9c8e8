"""Arrays of MLX as leaves: nothing is computed before it is read, and every bit is kept."""

from __future__ import annotations

import threading
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import get_state_dict, snapshot
from caten_sd.errors import CatenError
from caten_sd.state.leaf import Numpy, as_array, kind_named, spec

mx = pytest.importorskip("mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'")

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64"),
]


def bits(dtype: str, shape: tuple[int, ...] = (3, 4)) -> Any:
    """Return an array of numpy with random bits, in which there are NaN of odd payloads."""
    kind = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    random = np.random.default_rng(0)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    raw = random.integers(0, 256, (*shape, kind.itemsize), np.uint8)
    return raw.view(kind).reshape(shape)


@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (1, 0, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits_in_both_directions(dtype: str, shape: tuple[int, ...]) -> None:
    array = bits(dtype, shape)
    made = kind_named("mlx")
    theirs = as_array(made, array)
    assert isinstance(theirs, mx.array)
    known = spec(theirs)
    assert (known.shape, known.dtype.name, known.nbytes) == (shape, dtype, array.nbytes)
    back = as_array(Numpy(), theirs)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0, dtype="f4").reshape(2, 3)),
        np.arange(12.0, dtype="f4").reshape(4, 3)[::-2, ::-1],
        np.broadcast_to(np.float32(2), (2, 3)),
    ],
)
def test_arrays_of_other_orders_have_the_same_values(array: Any) -> None:
    assert as_array(kind_named("mlx"), array).tolist() == array.tolist()


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex128"])
def test_a_dtype_that_mlx_lacks_is_refused_and_not_narrowed(dtype: str) -> None:
    kind = getattr(ml_dtypes, dtype, dtype)
    with pytest.raises(CatenError, match=f"no dtype for {dtype}: convert"):
        as_array(kind_named("mlx"), np.zeros(2, kind))


def test_an_axis_that_is_too_long_is_refused() -> None:
    with pytest.raises(CatenError, match="2147483647 elements along an axis"):
        as_array(kind_named("mlx"), np.empty((0, 1 << 31), np.int8))


def test_a_look_at_the_state_computes_nothing() -> None:
    # Reading these 4 TB would end the process.
    state = get_state_dict({"w": mx.zeros((1 << 20, 1 << 20)), "b": mx.ones(2) * 2})
    assert spec(state["w"]).shape == (1 << 20, 1 << 20)


def test_what_is_read_is_computed_once_and_cannot_be_written() -> None:
    lazy = mx.random.normal((4, 4)) * 2
    first, second = (as_array(Numpy(), lazy) for _ in range(2))
    assert first.ctypes.data == second.ctypes.data
    assert not first.flags.writeable


@pytest.mark.parametrize("transform", ["compile", "vmap"])
def test_a_traced_array_is_refused_in_one_sentence(transform: str) -> None:
    def function(x: Any) -> Any:
        snapshot({"w": x})
        return x

    with pytest.raises(CatenError, match="is traced and has no values: do this outside"):
        getattr(mx, transform)(function)(mx.ones((2, 2)))


def test_an_array_that_only_the_thread_of_its_maker_can_compute_is_refused() -> None:
    """MLX computes on streams, and another thread has none of the maker's."""
    lazy, said = mx.ones((2, 2)) * 2, []

    def run() -> None:
        try:
            said.append(str(as_array(Numpy(), lazy).tolist()))
        except CatenError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert said == ["[[2.0, 2.0], [2.0, 2.0]]"] or "where it was made" in said[0]
