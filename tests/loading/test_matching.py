"""Which leaf goes to which slot: one row for each slot, in the model's order, then the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import plan_load
from caten_sd.loading.repairs import skip
from caten_sd.loading.report import FITS, Outcome
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

names = st.lists(st.sampled_from("abcdef"), unique=True)


@given(st.permutations("abcdef"), names)
def test_rows_are_in_the_models_order_and_unused_keys_follow_in_the_files(
    slots: list[str], file: list[str]
) -> None:
    model = {name: np.zeros(1) for name in slots[:4]}
    plan = plan_load(model, {name: np.ones(1) for name in file})
    unused = [name for name in file if name not in model]
    assert [row.key for row in plan.rows] == [*slots[:4], *unused]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), names)
def test_every_name_of_a_tied_slot_has_its_row(ties: list[int], file: list[str]) -> None:
    arrays = [np.zeros(2) for _ in range(4)]
    model = {name: arrays[at] for name, at in zip("abcdefgh", ties, strict=False)}
    plan = plan_load(model, {name: np.ones(2) for name in file})
    assert [row.key for row in plan.rows][: len(model)] == list(model)
    for row in plan.rows[: len(model)]:
        fed = any(model.get(name) is model[row.key] for name in file)
        assert (row.outcome in FITS) == fed
    plan_firsts = [row for row in plan.rows if row.outcome is Outcome.LOADED]
    assert len({id(model[row.key]) for row in plan_firsts}) == len(plan_firsts)


def test_a_tied_slot_gets_the_leaf_of_the_first_of_its_names_in_the_file() -> None:
    shared = np.zeros(2)
    plan = plan_load({"a": shared, "b": shared, "c": shared}, {"c": np.ones(2), "b": np.ones(2)})
    assert [(row.key, row.outcome, row.source) for row in plan.rows] == [
        ("a", Outcome.LOADED, "b"),
        ("b", Outcome.TIED, "b"),
        ("c", Outcome.TIED, "c"),
    ]
    plan.apply()
    assert shared.tolist() == [1, 1]


@pytest.mark.parametrize("value", [np.array([np.nan, 0.0]), np.array([np.nan, -0.0])])
def test_tied_names_that_are_equal_as_values_do_not_differ(value: np.ndarray) -> None:
    shared = np.zeros(2)
    plan = plan_load({"a": shared, "b": shared}, {"a": np.array([np.nan, 0.0]), "b": value})
    assert plan.fits


def test_a_tied_name_that_is_not_a_tensor_in_the_file_differs() -> None:
    shared = np.zeros(2)
    plan = plan_load({"a": shared, "b": shared}, {"a": np.ones(2), "b": "text"})
    assert [(row.key, row.outcome.name) for row in plan.rows] == [
        ("a", "LOADED"),
        ("b", "CONFLICT"),
    ]


def test_tied_names_with_one_leaf_are_not_compared_by_reading() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    model.b.weight = model.a.weight
    source = Source("w.bin", BytesBacking(b""), 0, 0)
    unreadable = LazyTensor(source, 0, DTYPES["float32"], (2, 2))
    plan = plan_load(model, {"a.weight": unreadable, "b.weight": unreadable})
    assert plan.fits


def test_a_buffer_that_the_model_computes_is_not_unexpected() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))
            self.register_buffer("mask", torch.ones(2), persistent=False)

    file = {"0.w": torch.ones(1), "0.mask": torch.zeros(2), "0.mask.x": torch.zeros(1)}
    plan = plan_load([Masked()], file)
    assert [row.outcome for row in plan.rows] == [
        Outcome.LOADED,
        Outcome.COMPUTED,
        Outcome.UNEXPECTED,
    ]


def test_values_that_differ_under_tied_names_are_refused_if_a_rule_leaves_out_all_of_them() -> None:
    array = np.zeros(2)
    plan = plan_load([array, array], {"0": np.ones(2), "1": array + 2}, on_mismatch={"*": skip})
    assert [row.key for row in plan.of(Outcome.CONFLICT)] == ["1"]
    with pytest.raises(LoadError, match="differs from 0"):
        plan.apply()
    same = {"0": np.ones(2), "1": np.ones(2)}
    assert plan_load([array, array], same, on_mismatch={"*": skip}).fits
