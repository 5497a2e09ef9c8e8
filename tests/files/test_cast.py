from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd.errors import StateDictError
from caten_sd.files.cast import Cast, cast_floats, dtype_named
from caten_sd.loading.load import plan_load
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict


def state(**leaves: object) -> StateDict:
    return StateDict({key.replace("__", "."): leaf for key, leaf in leaves.items()})


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "float8_e4m3fn"])
def test_values_are_rounded_as_torch_rounds_them(name: str):
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    cast = Cast(values, DTYPES[name])
    assert spec(cast).dtype.name == name
    expected = values.to(getattr(torch, name))
    assert torch.equal(cast.torch().view(torch.uint8), expected.view(torch.uint8))


def test_integers_and_bools_stay_as_they_are():
    given = state(i=np.arange(3), b=np.array(True), f=np.ones(2, "f4"))
    cast = cast_floats(given, "bf16")
    assert [spec(leaf).dtype.name for leaf in cast.values()] == ["int64", "bool", "bfloat16"]
    assert cast["i"] is given["i"]


def test_the_first_pattern_that_matches_decides():
    given = state(h__norm__w=np.ones(2, "f4"), h__w=np.ones(2, "f4"), x=np.ones(2, "f8"))
    cast = cast_floats(given, {"*norm*": "f32", "h.*": "f16", "x": "keep", "*": "bf16"})
    assert [spec(leaf).dtype.name for leaf in cast.values()] == ["float32", "float16", "float64"]


def test_a_pattern_without_a_key_is_refused():
    with pytest.raises(StateDictError, match="no key matches the pattern 'nrom\\*'"):
        cast_floats(state(norm=np.ones(1)), {"nrom*": "f32", "*": "bf16"})


def test_a_pattern_after_one_that_takes_its_keys_is_refused():
    given = state(norm=np.ones(1), x=np.ones(1))
    with pytest.raises(StateDictError, match=r"every key that 'norm' .* put it before them"):
        cast_floats(given, {"*": "bf16", "norm": "f32"})
    cast_floats(given, {"norm": "f32", "x": "f32", "*": "bf16"})  # one for all others may be last


def test_of_no_keys_nothing_is_cast():
    assert len(cast_floats(StateDict({}), "bf16")) == len(cast_floats(StateDict({}), None)) == 0


DTYPES_OF_PACKAGES = [
    "bf16",
    "bfloat16",
    "torch.bfloat16",
    torch.bfloat16,
    ml_dtypes.bfloat16,
    np.dtype(ml_dtypes.bfloat16),
    DTYPES["bfloat16"],
]


@pytest.mark.parametrize("dtype", DTYPES_OF_PACKAGES, ids=repr)
def test_a_dtype_is_that_of_any_package(dtype: object):
    for asked in (dtype, {"*": dtype}):
        assert spec(cast_floats(state(w=np.ones(2, "f4")), asked)["w"]).dtype.name == "bfloat16"
        model = {"w": torch.zeros(2)}
        plan = plan_load(model, {"w": torch.ones(2)}, dtype=asked, assign=True)
        assert plan.rows[0].slot.dtype.name == "float32"
        plan.apply()
        assert model["w"].dtype is torch.bfloat16


def test_tied_leaves_stay_one():
    leaf = np.ones(3, "f4")
    cast = cast_floats(state(a=leaf, b=leaf), "f16")
    assert cast["a"] is cast["b"]


def test_an_unknown_dtype_names_the_known():
    with pytest.raises(StateDictError, match=r"'f12' .*f64, f32"):
        dtype_named("f12")
