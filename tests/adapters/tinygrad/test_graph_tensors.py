"""Tensors of tinygrad as leaves: nothing is computed before it is read, and every bit is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import get_state_dict
from caten_sd.errors import CatenError
from caten_sd.state.leaf import Numpy, as_array, kind_named, spec

tinygrad = pytest.importorskip(
    "tinygrad", reason="tinygrad is not installed: pip install 'caten-sd[tinygrad]'"
)
Tensor, dtypes = tinygrad.Tensor, tinygrad.dtypes
counters = pytest.importorskip("tinygrad.helpers").GlobalCounters

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
]


@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (1, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits_in_both_directions(dtype: str, shape: tuple[int, ...]) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    random = np.random.default_rng(0)
    raw = random.integers(0, 2 if dtype == "bool" else 256, (*shape, kind.itemsize), np.uint8)
    array = raw.view(kind).reshape(shape)
    theirs = as_array(kind_named("tinygrad"), array)
    assert isinstance(theirs, Tensor)
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
def test_arrays_of_other_orders_have_the_same_values_and_other_memory(array: Any) -> None:
    values = array.tolist()
    theirs = as_array(kind_named("tinygrad"), array)
    if array.flags.writeable:
        array[...] = 7
    assert theirs.tolist() == values


@pytest.mark.parametrize("dtype", ["complex64", "float4_e2m1fn"])
def test_a_dtype_that_tinygrad_lacks_is_refused(dtype: str) -> None:
    with pytest.raises(CatenError, match=f"no dtype for {dtype}: convert"):
        as_array(kind_named("tinygrad"), np.zeros(2, getattr(ml_dtypes, dtype, dtype)))


def test_a_look_at_the_state_computes_nothing_and_reading_it_does_so_once() -> None:
    lazy = Tensor.rand(4, 4) * 2
    before = counters.kernel_count
    state = get_state_dict({"w": lazy, "large": Tensor.ones(1 << 20, 1 << 20)})
    assert spec(state["large"]).nbytes == 1 << 42
    assert counters.kernel_count == before
    first, computed = as_array(Numpy(), lazy), counters.kernel_count
    assert computed > before
    assert np.array_equal(as_array(Numpy(), lazy), first)
    assert counters.kernel_count == computed


def test_a_transposed_tensor_and_a_part_of_one_have_their_own_values() -> None:
    whole = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3)).realize()
    assert as_array(Numpy(), whole.T).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert as_array(Numpy(), whole[1]).tolist() == [3, 4, 5]


def test_a_size_that_is_a_variable_is_refused_in_one_sentence() -> None:
    size = tinygrad.Variable("size", 1, 10).bind(3)
    with pytest.raises(CatenError, match="a size that is a variable") as caught:
        spec(Tensor.ones(10)[:size])
    assert "\n" not in str(caught.value)


def test_a_captured_tensor_is_refused_in_one_sentence() -> None:
    said: list[str] = []

    def function(x: Any) -> Any:
        y = x + 1
        try:
            as_array(Numpy(), y)
        except CatenError as error:
            said.append(str(error))
        return y.realize()

    jitted = tinygrad.TinyJit(function)
    for _ in range(2):
        jitted(Tensor(np.ones(2, np.float32)).realize())
    assert "outside the function that TinyJit captures" in said[0]


def test_no_device_that_works_is_one_sentence() -> None:
    code = (
        "import numpy, sys\n"
        "from caten_sd.errors import CatenError\n"
        "from caten_sd.state.leaf import as_array, kind_named\n"
        "try: as_array(kind_named('tinygrad'), numpy.ones(2))\n"
        "except CatenError as error: print(error)\n"
    )
    env = {**os.environ, "DEV": "METAL:1", "CC": "no-such-compiler"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert "choose a device that works, as DEV=PYTHON does" in result.stdout
    assert result.stdout.count("\n") == 1
