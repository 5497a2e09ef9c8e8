"""A training state is recognized by its keys, and its model taken out."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import is_training, model_state

WEIGHT = np.zeros(2)


@pytest.mark.parametrize(
    ("keys", "training"),
    [
        (["model.w", "step"], True),
        (["model.w", "step", "optimizer.values", "rng.cpu"], True),
        (["model.w", "optimizer.values"], False),
        (["optimizer.values", "step"], False),
        (["model.w", "step", "other"], False),
        ([], False),
    ],
)
def test_a_training_state_has_a_model_a_step_and_components(
    keys: list[str], training: bool
) -> None:
    assert is_training(keys) is training


def test_the_model_keeps_its_ties_and_where_it_is_from() -> None:
    entry = {"model.w": WEIGHT, "model.tied": WEIGHT, "step": np.zeros(())}
    model = model_state(StateDict(entry, metadata={"note": "kept"}, origin="npz"))
    assert list(model) == ["w", "tied"]
    assert model.ties == {"tied": "w"}
    assert (model.metadata, model.origin) == ({"note": "kept"}, "npz")


def test_another_state_dict_is_left_as_it_is() -> None:
    state = StateDict({"model.w": WEIGHT, "other": WEIGHT})
    assert model_state(state) is state
