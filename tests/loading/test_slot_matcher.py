"""What becomes of one slot: its row, and the move that carries it out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.moves import How
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.policy import Policy
from caten_sd.loading.repairs import fill, skip
from caten_sd.loading.report import Outcome
from caten_sd.loading.slot_matcher import PlannedRow, SlotMatcher
from caten_sd.state.keys import pytorch_style_dict_key


def planned(
    slot: Any, leaf: Any, *, adopt: bool = False, replace: bool = False, **policy: Any
) -> PlannedRow:
    model = {"w": slot}
    target = LoadTarget(model, pytorch_style_dict_key)
    named = NamedLeaves({} if leaf is None else {"w": leaf})
    matcher = SlotMatcher(target, named, Policy(**policy), adopt=adopt, replace=replace)
    return matcher.plan("w", target.slots["w"], "w")


def test_a_slot_that_fits_gets_a_copy() -> None:
    slot, leaf = np.zeros(2), np.ones(2)
    found = planned(slot, leaf)
    assert found.row.outcome is Outcome.LOADED
    assert found.move is not None
    assert (found.move.place is slot, found.move.leaf is leaf) == (True, True)
    assert found.move.how is How.COPY


@pytest.mark.parametrize(
    ("options", "adopt", "dtype"),
    [
        ({"replace": True}, False, None),
        ({"replace": True, "adopt": True}, True, "float64"),
        ({"dtype": "float16"}, False, "float16"),
    ],
)
def test_a_slot_gets_a_new_object_if_asked_or_if_its_dtype_changes(
    options: dict[str, Any], adopt: bool, dtype: str | None
) -> None:
    move = planned(np.zeros(2), np.ones(2), **options).move
    assert move is not None
    assert move.how is How.REPLACE
    assert move.adopt is adopt
    assert (move.dtype and move.dtype.name) == dtype


def test_a_slot_on_the_meta_device_gets_a_new_object() -> None:
    found = planned(torch.zeros(2, device="meta"), torch.ones(2))
    assert found.move is not None
    assert found.move.how is How.REPLACE


@pytest.mark.parametrize(
    ("slot", "leaf", "outcome"),
    [
        (np.zeros(2), None, Outcome.MISSING),
        (np.zeros(2), np.ones(3), Outcome.SHAPE),
        (np.zeros(2, int), np.ones(2), Outcome.DTYPE),
        (np.zeros(2), "text", Outcome.UNREAD),
        (torch.zeros(2), torch.ones(2).to_sparse(), Outcome.UNASSIGNABLE),
    ],
)
def test_what_does_not_fit_has_no_move(slot: Any, leaf: Any, outcome: Outcome) -> None:
    found = planned(slot, leaf)
    assert found.row.outcome is outcome
    assert found.move is None


def test_repairs_apply_to_what_does_not_fit() -> None:
    skipped = planned(np.zeros(2), np.ones(3), on_mismatch={"w": skip})
    assert (skipped.row.outcome, skipped.move) == (Outcome.SKIPPED, None)
    filled = planned(np.zeros(2), None, on_mismatch={"w": fill(7)})
    assert filled.row.outcome is Outcome.LOADED
    assert filled.move is not None
    assert filled.move.leaf.tolist() == [7, 7]


def test_extra_state_goes_back_to_its_module() -> None:
    class Counting(nn.Module):
        def get_extra_state(self) -> int:
            return 3

        def set_extra_state(self, state: int) -> None:
            pass

    model = Counting()
    target = LoadTarget(model, pytorch_style_dict_key)
    matcher = SlotMatcher(
        target, NamedLeaves({"_extra_state": 4}), Policy(), adopt=False, replace=False
    )
    move = matcher.plan("_extra_state", None, "_extra_state").move
    assert move is not None
    assert (move.how, move.leaf) == (How.NESTED, 4)
