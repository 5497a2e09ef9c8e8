"""Slots that share elements: equal values are loaded, and different ones are refused unwritten."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caten_sd import LoadError, load_state_dict, plan_load, read_state_dict, write_state_dict
from tests.properties import examples

State = dict[str, Any]


class Viewed(nn.Module):
    """A parameter, and views of its rows as buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(6, 2))
        self.register_buffer("first", self.w.detach()[:4])
        self.register_buffer("last", self.w.detach()[3:])


def state_of(values: torch.Tensor) -> State:
    return {"w": values, "first": values[:4].clone(), "last": values[3:].clone()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("stored", [False, True])
def test_different_values_of_one_element_are_refused(
    tmp_path: Path, dtype: torch.dtype, stored: bool
) -> None:
    model, state = Viewed(), state_of(torch.arange(12, dtype=dtype).reshape(6, 2))
    given: Any = state
    for key, others in (("first", "w and first"), ("last", "w and last")):
        state[key][0] += 1
        if stored:
            write_state_dict(state, tmp_path / f"{key}.safetensors")
            given = read_state_dict(tmp_path / f"{key}.safetensors")
        with pytest.raises(LoadError, match=f"{others} share.*nothing was changed.*leave one"):
            load_state_dict(model, given, silent=True)
        assert not model.w.count_nonzero()
        state[key][0] -= 1
    load_state_dict(model, state, strict=True)
    assert torch.equal(model.w, state["w"].to(torch.float32))


def test_a_file_that_was_cut_off_is_a_load_error(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_state_dict(state_of(torch.ones(6, 2)), path)
    plan = plan_load(model := Viewed(), read_state_dict(path))
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(LoadError, match=r"a\.safetensors.*nothing was changed"):
        plan.apply()
    assert not model.w.count_nonzero()


@pytest.mark.parametrize("dtype", [torch.float8_e8m0fnu, torch.float16])
def test_a_value_that_its_slot_cannot_hold_is_cast_as_torch_casts_it(dtype: torch.dtype) -> None:
    whole = torch.zeros(4).to(dtype)
    stored = torch.tensor([2.0, 1e30, 4.0])
    stored = stored.to(torch.float8_e4m3fn) if dtype.itemsize == 1 else stored
    load_state_dict({"a": whole[:3], "b": whole[:2]}, {"a": stored, "b": stored[:2].clone()})
    assert torch.allclose(whole[:3].float(), stored.to(dtype).float(), 0, 0, equal_nan=True)


def test_elements_side_by_side_are_not_shared() -> None:
    whole = np.zeros((3, 4))
    model = {"even": whole[:, ::2], "odd": whole[:, 1::2], "none": whole[:0]}
    load_state_dict(model, {"even": np.ones((3, 2)), "odd": np.full((3, 2), 2.0),
                            "none": np.ones((0, 4))}, strict=True)  # fmt: skip
    assert whole.tolist() == [[1, 2, 1, 2]] * 3


@settings(max_examples=examples(30))
@given(st.data())
def test_what_is_loaded_is_what_the_file_has(data: st.DataObject) -> None:
    whole = np.zeros((4, 4), "f4")
    ranges = st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 2))
    model, file = {}, {}
    for name in data.draw(st.lists(st.sampled_from("abc"), min_size=2, unique=True)):
        rows, columns = (
            slice(a, a + n, step) for a, n, step in data.draw(st.tuples(*[ranges] * 2))
        )
        model[name] = whole[rows, columns]
        file[name] = np.full(
            model[name].shape, data.draw(st.sampled_from([1.0, np.nan, 2.0])), "f8"
        )
    try:
        load_state_dict(model, file, strict=True)
    except LoadError:
        assert not whole.any()
        assert any(
            np.shares_memory(model[one], model[other])
            and not np.array_equal(file[one].flat[0], file[other].flat[0])
            for one, other in itertools.combinations(model, 2)
        )
    else:
        for name, array in model.items():
            np.testing.assert_array_equal(array, file[name])
