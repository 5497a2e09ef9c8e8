"""The experts of a layer are stacked under mlx-lm's names, and come back."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.extend import Numpy, as_array
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.state_dict import StateDict
from tests.layouts.test_llama import random_model

EXPERTS = "model.layers.1.block_sparse_moe"
PAIRS = [("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_mixtral_s_experts_are_one_tensor(old: str, new: str) -> None:
    model = random_model("Mixtral")
    hub = to_layout(model.state_dict(), "hf-mixtral", from_layout="hf-mixtral-live")
    made = to_layout(hub, "mlx-mixtral")
    stacked = np.array(as_array(Numpy(), made[f"{EXPERTS}.switch_mlp.{new}.weight"]))
    for number, array in enumerate(stacked):
        meant = as_array(Numpy(), hub[f"{EXPERTS}.experts.{number}.{old}.weight"])
        assert np.array_equal(array, meant)
    found = detect_layout(StateDict(made)).layout
    assert found is not None
    assert found.name == "mlx-mixtral"
    back = to_layout(made, "hf-mixtral")
    assert back.keys() == hub.keys()
