"""Whether a leaf can be loaded into a slot, by shape and dtype."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.judge import judge
from caten_sd.loading.report import Outcome
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import spec_of


@given(st.sampled_from(sorted(DTYPES)), st.sampled_from(sorted(DTYPES)))
def test_a_kind_that_the_slot_cannot_hold_is_refused(slot: str, leaf: str) -> None:
    outcome, _ = judge(spec_of((2,), DTYPES[slot]), spec_of((2,), DTYPES[leaf]))
    kinds = DTYPES[leaf].kind, DTYPES[slot].kind
    if slot == leaf:
        assert outcome is Outcome.LOADED
    elif kinds in {("float", "int"), ("float", "uint"), ("float", "bool"), ("complex", "float")}:
        assert outcome is Outcome.DTYPE
    elif kinds[0] == kinds[1]:
        assert outcome is Outcome.CAST


@pytest.mark.parametrize(
    ("slot", "leaf", "outcome"),
    [
        ((), (1,), Outcome.LOADED), ((), (2,), Outcome.SHAPE), ((1,), (), Outcome.SHAPE),
        ((2, 3), (3, 2), Outcome.SHAPE), ((), (1, 1), Outcome.SHAPE), ((0,), (0,), Outcome.LOADED),
    ],
)  # fmt: skip
def test_shapes(slot: tuple[int, ...], leaf: tuple[int, ...], outcome: Outcome) -> None:
    kind = DTYPES["float32"]
    assert judge(spec_of(slot, kind), spec_of(leaf, kind))[0] is outcome
