"""Adapters of experts that lie in one tensor, which peft calls target_parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from tests.files.test_merged_adapters import base, numbers, of_peft, pairs


def experts(
    path: str, first: int, last: int, *, turned: bool = False
) -> tuple[dict[str, Any], Any]:
    """Return the pair of three experts with rank 2, and the products for them."""
    down, up = numbers(6, first), numbers(last, 6)
    each = [up[:, n::3] @ down[2 * n : 2 * n + 2] for n in range(3)]
    found = {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
    return found, np.stack([one.T if turned else one for one in each])


@pytest.mark.parametrize("turned", [False, True])
def test_experts_in_one_tensor_get_the_product_of_each(turned: bool) -> None:
    up, added_up = experts("h.0.mlp.experts.base_layer", 4, 10, turned=turned)
    down, added_down = experts("h.0.mlp.experts", 5, 5, turned=turned)  # square: as the other one
    model = {"h.0.mlp.experts.up": numbers(*added_up.shape)}
    model["h.0.mlp.experts.down"] = numbers(*added_down.shape)
    adapter = of_peft({**up, **down}, target_parameters=["mlp.experts.down", "mlp.experts.up"])
    merged = sd.merge_lora(model, adapter)
    for name, added in (("up", added_up), ("down", added_down)):
        key = f"h.0.mlp.experts.{name}"
        assert np.array_equal(merged[key], model[key] + 4 * added)
        assert np.array_equal(merged[key][1:3, 2:].numpy(), (model[key] + 4 * added)[1:3, 2:])


def stacked(**config: Any) -> sd.StateDict:
    return of_peft(experts("mlp.experts", 5, 5)[0], target_parameters=["experts.up"], **config)


WRONG_EXPERTS: dict[str, tuple[dict[str, Any], sd.StateDict, str]] = {
    "square": ({"mlp.experts.up": numbers(3, 5, 5)}, stacked(), "experts.up is square"),
    "another count": ({"mlp.experts.up": numbers(4, 5, 5)}, stacked(), "no pair"),
    "apart": ({"mlp.experts.0.up.weight": numbers(5, 5)}, stacked(), "no pair"),
    "another rank": ({"mlp.experts.up": numbers(3, 5, 5)}, stacked(r=4), r"\[6, 5\].*r 4"),
    "no rank": ({"mlp.experts.up": numbers(3, 5, 5)}, stacked(r=0), r"\[6, 5\].*r 0"),
    "a text for it": (
        {"mlp.experts.up": numbers(3, 5, 5)},
        stacked(r="2"),
        r"^r of .*is '2'.*whole number",
    ),
    "patterns": (
        {"mlp.experts.up": numbers(3, 5, 5)},
        stacked(rank_pattern={"experts.up": 2}),
        "rank_pattern next to target_parameters",
    ),
    "two that fit": (
        {"mlp.experts.up": numbers(3, 5, 4), "mlp.experts.down": numbers(3, 5, 4)},
        of_peft(experts("mlp.experts", 4, 5)[0], target_parameters=["experts.up", "experts.down"]),
        r"experts\.up or mlp\.experts\.down",
    ),
    "one that does not": (
        {"mlp.experts.up": numbers(3, 5, 4), **base("fc")},
        of_peft(
            {**experts("mlp.experts", 7, 5)[0], **pairs("fc")}, target_parameters=["experts.up"]
        ),
        r"mlp\.experts of the model has no up.*\[5, 6\] and \[6, 7\]",
    ),
    "two for one": (
        {"mlp.experts.up": numbers(3, 5, 4), "mlp.experts.down": numbers(3, 4, 6)},
        of_peft(
            {**experts("mlp.experts.base_layer", 4, 5)[0], **experts("mlp.experts", 4, 5)[0]},
            target_parameters=["experts.up", "experts.down"],
        ),
        r"two pairs .*mlp\.experts\.up",
    ),
    "a bias": (
        {"mlp.experts.up": numbers(3, 5, 4)},
        of_peft(
            {**experts("mlp.experts", 4, 5)[0], "mlp.experts.lora_B.bias": numbers(5)},
            target_parameters=["experts.up"],
        ),
        r"mlp\.experts has a bias",
    ),
}


@pytest.mark.parametrize("name", WRONG_EXPERTS)
def test_experts_that_do_not_fit_are_named(name: str) -> None:
    model, adapter, match = WRONG_EXPERTS[name]
    with pytest.raises(sd.LayoutError, match=match):
        sd.merge_lora(model, adapter)
