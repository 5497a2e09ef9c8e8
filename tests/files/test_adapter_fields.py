"""A field of an adapter_config.json that holds a value of another type is refused by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import StateDict, merge_lora
from caten_sd.errors import LayoutError

PAIR = {"fc.lora_A.weight": np.ones((2, 3), "f4"), "fc.lora_B.weight": np.ones((4, 2), "f4")}


def merged(config: dict[str, Any]) -> np.ndarray[Any, Any]:
    adapter = StateDict(PAIR, config={"lora_alpha": 4, "r": 2, **config})
    return merge_lora({"fc.weight": np.zeros((4, 3), "f4")}, adapter)["fc.weight"].numpy()


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("use_rslora", "yes", "true or false"),
        ("use_rslora", 1, "true or false"),
        ("use_dora", "false", "true or false"),
        ("fan_in_fan_out", [], "true or false"),
        ("init_lora_weights", 3, "a text"),
        ("peft_type", ["LORA"], "a text"),
        ("r", "2", "a whole number"),
        ("r", True, "a whole number"),
        ("lora_alpha", "4", "a number"),
        ("lora_alpha", [4], "a number"),
        ("rank_pattern", ["fc"], "whole numbers"),
        ("rank_pattern", {"fc": "2"}, "whole numbers"),
        ("alpha_pattern", {"fc": None}, "numbers"),
        ("target_parameters", "experts.up", "a list of texts"),
        ("target_parameters", [1], "a list of texts"),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any, kind: str) -> None:
    with pytest.raises(LayoutError) as caught:
        merged({field: value})
    assert str(caught.value).startswith(f"{field} of the adapter_config.json is {value!r}, ")
    assert kind in str(caught.value)


@pytest.mark.parametrize("field", ["use_rslora", "rank_pattern", "target_parameters", "use_dora"])
def test_null_is_as_if_the_field_were_not_there(field: str) -> None:
    assert (merged({field: None}) == merged({})).all()


def test_what_peft_writes_is_taken() -> None:
    config = {"use_rslora": True, "init_lora_weights": "gaussian", "alpha_pattern": {"fc": 2.0}}
    assert np.allclose(merged(config), 2 * 2 / np.sqrt(2))
