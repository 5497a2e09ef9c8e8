"""The scale of a pair is what peft computes for it, or a sentence that names what stops that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.files.adapter_scales import check_config, scale_of

PATH = "model.layers.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("alpha", "stated", "expected"),
    [
        (None, None, 1),
        (np.array(2.0, "f2"), None, 0.5),
        (np.array([8.0]), {"lora_alpha": 4}, 2),
        (None, {"lora_alpha": 16, "r": 4}, 4),
        (None, {"lora_alpha": 16, "use_rslora": True}, 8),
        (None, {"lora_alpha": 16, "alpha_pattern": {"q_proj": 2}}, 0.5),
        (None, {"lora_alpha": 16, "alpha_pattern": {"proj": 2}}, 4),
        (None, {"lora_alpha": 16, "alpha_pattern": {"^q_proj": 2}}, 4),
        (None, {"lora_alpha": 16, "alpha_pattern": {r"layers\.1\.self_attn.q_proj": 2}}, 0.5),
        (None, {"lora_alpha": 16, "alpha_pattern": {"v_proj": 1, PATH: 8, "q_proj": 2}}, 2),
        (None, {"lora_alpha": 16, "r": 8, "rank_pattern": {"q_proj": 4}}, 4),
    ],
)
def test_alpha_is_found_where_it_is_stated(alpha: Any, stated: Any, expected: float) -> None:
    assert scale_of(PATH, 4, alpha, stated) == expected


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        ({}, rf"{PATH}.*rank 4.*lora_alpha"),
        ({"lora_alpha": "16"}, "lora_alpha"),
        ({"lora_alpha": 10**400}, rf"{PATH} is 10+…0+, .*float32"),
        ({"lora_alpha": float("nan")}, rf"{PATH} is nan, .*float32"),
        ({"lora_alpha": 16, "r": 8}, rf"{PATH} has rank 4.*states 8"),
        ({"lora_alpha": 16, "alpha_pattern": {"(a+)+$": 2}}, r"\(a\+\)\+\$.*merge_and_unload"),
    ],
)
def test_what_is_not_stated_or_contradicts_the_pair_is_named(stated: Any, match: str) -> None:
    with pytest.raises(LayoutError, match=match):
        scale_of(PATH, 4, None, stated)


@pytest.mark.parametrize("alpha", [np.array([2.0, 3.0]), np.array(2j)])
def test_an_alpha_that_is_not_one_number_is_not_left_out(alpha: Any) -> None:
    with pytest.raises(LayoutError, match=f"alpha of {PATH}"):
        scale_of(PATH, 4, alpha, None)


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "IA3"},
        {"init_lora_weights": "pissa_niter_4"},
        {"layer_replication": [[0, 4]]},
    ],
)
def test_an_adapter_that_is_not_a_sum_is_refused(config: dict[str, Any]) -> None:
    (name,) = config
    with pytest.raises(LayoutError, match=rf"{name}.*merge_and_unload"):
        check_config(config)
    check_config({"peft_type": "LORA", "use_dora": False, "init_lora_weights": "gaussian"})
