from __future__ import annotations

import numpy as np
import pytest
import torch

from caten_sd.errors import StateDictError
from caten_sd.files.cast import Cast, cast_floats, dtype_named
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
    cast = cast_floats(given, "bf16", {"*norm*": "f32", "h.*": "f16", "x": "keep"})
    assert [spec(leaf).dtype.name for leaf in cast.values()] == ["float32", "float16", "float64"]


def test_a_pattern_without_a_key_is_refused():
    with pytest.raises(StateDictError, match="no key matches the pattern 'nrom\\*'"):
        cast_floats(state(norm=np.ones(1)), "bf16", {"nrom*": "f32"})


def test_tied_leaves_stay_one():
    leaf = np.ones(3, "f4")
    cast = cast_floats(state(a=leaf, b=leaf), "f16")
    assert cast["a"] is cast["b"]


def test_an_unknown_dtype_names_the_known():
    with pytest.raises(StateDictError, match=r"'f12' .*f64, f32"):
        dtype_named("f12")
