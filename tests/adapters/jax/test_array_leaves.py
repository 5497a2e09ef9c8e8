"""Arrays of JAX as leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import CatenError, get_state_dict, snapshot, write_state_dict
from caten_sd.errors import StateDictError
from caten_sd.extend import as_array, spec
from caten_sd.state.derived import derive
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import Numpy, kind_named
from caten_sd.state.steps import Permute

from .devices import divided, jax

KEPT = [
    name
    for name, dtype in DTYPES.items()
    if dtype.bits != 6 and (dtype.bits < 64 or name == "complex64")
]


@pytest.mark.parametrize("name", KEPT)
def test_every_dtype_comes_and_goes_with_its_bits(name: str) -> None:
    ones = np.ones((2, 3)).astype(numpy_dtype(DTYPES[name]))
    made = as_array(kind_named("jax"), ones)
    assert isinstance(made, jax.Array)
    assert spec(made) == spec(ones)
    assert as_array(Numpy(), made).tobytes() == ones.tobytes()


@pytest.mark.parametrize("name", ["float64", "int64", "uint64", "complex128"])
def test_what_jax_would_narrow_is_refused(name: str) -> None:
    with pytest.raises(CatenError, match=rf"{name}.*jax_enable_x64"):
        as_array(kind_named("jax"), np.ones(2, name))
    with jax.enable_x64(True):
        assert spec(as_array(kind_named("jax"), np.ones(2, name))).dtype.name == name


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([{}]), np.zeros(1, "i4,f4"), np.ones(1, np.longdouble)]
)
def test_what_jax_cannot_hold_is_refused(array: Any) -> None:
    with pytest.raises(CatenError, match="JAX has no dtype"):
        as_array(kind_named("jax"), array)


def test_bytes_in_the_other_order() -> None:
    made = as_array(kind_named("jax"), np.arange(3, dtype=">f4"))
    assert np.asarray(made).tolist() == [0, 1, 2]


def test_an_array_made_of_numpys_keeps_its_values_when_that_changes() -> None:
    raw = np.zeros(4096 + 64, np.uint8)
    start = -raw.ctypes.data % 64  # the alignment at which JAX shares memory
    array = raw[start : start + 4096].view(np.float32)
    made = as_array(kind_named("jax"), array)
    array[:] = 7
    assert not np.asarray(made).any()


def test_a_tensor_of_torch_becomes_an_array() -> None:
    tensor = torch.arange(3, dtype=torch.bfloat16)
    assert as_array(kind_named("jax"), tensor).dtype == jax.numpy.bfloat16


def test_a_key_is_its_key_data() -> None:
    keys = jax.random.split(jax.random.key(3), 4)
    assert spec(keys)[:3] == ((4, 2), DTYPES["uint32"], 32)
    assert np.array_equal(as_array(Numpy(), keys), jax.random.key_data(keys))


def test_an_array_of_a_dtype_that_no_file_has() -> None:
    assert spec(jax.numpy.ones(3, "int4")).dtype.kind == "other"


def test_a_deleted_array_is_an_error_when_it_is_read() -> None:
    array = jax.numpy.ones((2, 3))
    array.delete()
    assert not spec(array).has_values
    with pytest.raises(CatenError, match=r"\[2, 3\].*was deleted.*function returned"):
        as_array(Numpy(), array)
    with pytest.raises(CatenError, match="was deleted"):
        write_state_dict({"w": array}, "never.safetensors")


def test_an_abstract_shape_has_no_values() -> None:
    shape = jax.eval_shape(lambda: jax.numpy.ones((2, 3), "bfloat16"))
    assert spec(shape) == ((2, 3), DTYPES["bfloat16"], 0, "dense")
    with pytest.raises(CatenError, match="abstract shape"):
        as_array(Numpy(), shape)


@pytest.mark.parametrize("transform", ["jit", "grad", "vmap"])
def test_a_traced_array_is_an_error(transform: str) -> None:
    def read(array: Any) -> Any:
        with pytest.raises(StateDictError, match=r"'w'.*traced.*outside"):
            get_state_dict({"w": array})
        with pytest.raises(CatenError, match="traced"):
            as_array(Numpy(), array)
        return array.sum()

    getattr(jax, transform)(read)(jax.numpy.ones(3))


def test_a_divided_array_is_gathered() -> None:
    array = jax.device_put(np.arange(32.0).reshape(8, 4), divided("a", "b"))
    assert np.array_equal(as_array(Numpy(), array), np.arange(32.0).reshape(8, 4))
    assert derive(Permute((1, 0)), [array]).numpy().tolist() == np.asarray(array).T.tolist()


def test_a_snapshot_outlives_a_donated_array() -> None:
    model = {"w": jax.numpy.ones(3)}
    before = snapshot(model)
    model["w"].delete()
    assert np.asarray(before["w"]).tolist() == [1, 1, 1]
