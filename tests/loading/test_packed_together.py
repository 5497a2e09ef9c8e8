"""A packed weight of a model is loaded with all that belongs to it, or stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.repairs import skip
from caten_sd.loading.report import Outcome


def model(value: int) -> dict[str, Any]:
    return {
        "fc.weight": np.full((4, 4), value, np.uint32),
        "fc.scales": np.full((4, 2), value, np.float16),
        "fc.biases": np.full((4, 2), value, np.float16),
        "fc.bias": np.full(4, value, np.float32),
        "weight_scale": np.full(2, value, np.float32),  # of a weight that is not packed
        "weight": np.full(2, value, np.float32),
    }


PACKED = ("fc.weight", "fc.scales", "fc.biases")


@pytest.mark.parametrize("torn", PACKED)
@pytest.mark.parametrize("how", ["missing", "shape", "dtype"])
def test_a_part_alone_is_refused_and_nothing_changes(torn: str, how: str) -> None:
    old, file = model(1), model(2)
    leaf = file.pop(torn)
    if how == "shape":
        file[torn] = leaf[:1]
    elif how == "dtype":
        file[torn] = leaf.astype("complex64")
    rows = {row.key: row for row in plan_load(old, file).rows}
    for key in PACKED:
        if key != torn:
            assert rows[key].outcome is Outcome.UNASSIGNABLE
            assert torn in rows[key].note
    assert rows["fc.bias"].outcome is Outcome.LOADED
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(old, file)
    assert {key: leaf.flat[0] for key, leaf in old.items()} == dict.fromkeys(old, 1)


def test_what_the_caller_leaves_out_is_the_callers_choice() -> None:
    old, file = model(1), model(2)
    del file["fc.scales"]
    load_state_dict(old, file, allow_missing="fc.scales")
    assert (old["fc.weight"].flat[0], old["fc.scales"].flat[0]) == (2, 1)
    old = model(1)
    load_state_dict(old, model(2), on_mismatch={"fc.scales": skip})
    assert old["fc.biases"].flat[0] == 2


def test_floats_next_to_scales_are_not_packed() -> None:
    old, file = model(1), model(2)
    del file["weight_scale"]
    load_state_dict(old, file, silent=True)
    assert old["weight"].flat[0] == 2
