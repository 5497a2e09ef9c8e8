"""Adapters of kohya for Stable Diffusion, added to the models of a pipeline in any names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.files.merged_adapters import merged
from tests.layouts.test_stable_diffusion import whole_file

TEXT = "encoder.layers.0.self_attn.k_proj"
UNET = "down_blocks.1.attentions.0.proj_in"


def pair(name: str, outputs: int, inputs: tuple[int, ...]) -> dict[str, Any]:
    """Return a pair of ones, whose product has 2 * 0.5 in each place."""
    return {
        f"lora_{name}.lora_down.weight": np.ones((2, *inputs), "f4"),
        f"lora_{name}.lora_up.weight": np.ones((outputs, 2, *(1,) * (len(inputs) - 1)), "f4"),
        f"lora_{name}.alpha": np.array(1.0, "f4"),
    }


@pytest.mark.parametrize("te", ["te", "te1"])
@pytest.mark.parametrize("start", ["", "text_model.", "text_encoder.", "text_encoder.text_model."])
def test_a_text_model_has_a_segment_more_or_less(start: str, te: str) -> None:
    name = f"{te}_text_model_{TEXT.replace('.', '_')}"
    found = sd.merge_lora({f"{start}{TEXT}.weight": np.zeros((3, 4), "f4")}, pair(name, 3, (4,)))
    assert found[f"{start}{TEXT}.weight"].numpy().tolist() == [[1.0] * 4] * 3


@pytest.mark.parametrize("start", ["", "unet."])
@pytest.mark.parametrize("name", [UNET.replace(".", "_"), "input_blocks_4_1_proj_in"])
def test_a_unet_of_diffusers_takes_both_names(name: str, start: str) -> None:
    model = {f"{start}{UNET}.weight": np.zeros((3, 4), "f4")}
    found = sd.merge_lora(model, pair(f"unet_{name}", 3, (4,)))
    assert found[f"{start}{UNET}.weight"].numpy().tolist() == [[1.0] * 4] * 3


def test_a_unet_of_ldm_that_is_no_known_model_takes_its_own_names() -> None:
    model = {"input_blocks.40.1.fc.weight": np.zeros((3, 4), "f4")}
    found = sd.merge_lora(model, pair("unet_input_blocks_40_1_fc", 3, (4,)))
    assert found["input_blocks.40.1.fc.weight"].numpy().tolist() == [[1.0] * 4] * 3


@pytest.mark.slow
@pytest.mark.parametrize("in_ldm", [True, False])
@pytest.mark.parametrize("xl", [True, False])
def test_all_models_of_a_pipeline_get_their_pairs(xl: bool, in_ldm: bool) -> None:
    ldm, diffusers = whole_file(xl=xl)
    given = ldm if in_ldm else diffusers
    base = {key: np.broadcast_to(np.float32(0), leaf.shape) for key, leaf in given.items()}
    shape = diffusers[f"unet.{UNET}.weight"].shape
    unet = "input_blocks_4_1_proj_in" if xl else UNET.replace(".", "_")
    layer = f"text_model_{TEXT.replace('.', '_')}"
    adapter = pair(f"unet_{unet}", shape[0], shape[1:])
    adapter |= pair(f"te1_{layer}" if xl else f"te_{layer}", 768, (768,))
    if xl:
        adapter |= pair(f"te2_{layer}", 1280, (1280,))
    done = merged(sd.StateDict(base), adapter)
    assert list(done.notes) == [
        f"{2 + xl} pairs of the adapter added to {2 + xl} weights, scale 0.5"
    ]
    assert list(done.state_dict) == list(base)
    changed = [key for key, leaf in done.state_dict.items() if leaf is not base[key]]
    assert len(changed) == 2 + xl
    for key in changed:
        values = np.asarray(done.state_dict[key])
        if key.endswith("in_proj_weight"):  # the queries and the values are not changed
            assert not values[:1280].any()
            assert not values[2560:].any()
            values = values[1280:2560]
        assert (values == 1).all()
