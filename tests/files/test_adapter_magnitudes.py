"""Pairs of DoRA: their magnitudes in every dialect, and what of them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors import LayoutError
from caten_sd.files.adapter_magnitudes import AdapterMagnitudes, Rescaling, magnitudes_by_key
from caten_sd.files.merged_adapters import merged
from tests.files.test_expert_pairs import experts
from tests.files.test_merged_adapters import (
    base,
    kohya,
    numbers,
    of_peft,
    pairs,
    product,
    small_model,
)

LAYER = "model.layers.0.q_proj"
MAGNITUDES = f"{LAYER}.lora_magnitude_vector"
VALUES = np.array([1, 2, 3, 4, 5, 6], "f4")


def rescaled(total: Any, values: Any, axis: int = 0) -> Any:
    others = tuple(each for each in range(total.ndim) if each != axis)
    norms = np.sqrt((total.astype("f8") ** 2).sum(axis=others, keepdims=True))
    return total * (values.reshape(norms.shape) / norms)


@pytest.mark.parametrize("root", ["base_model.model.", "unet."])
@pytest.mark.parametrize("ending", ["", ".weight", ".default.weight", ".default", ".other"])
def test_every_name_of_the_magnitudes_is_read(ending: str, root: str) -> None:
    weights, found = base(LAYER), pairs(LAYER)
    named = {f"{root}{key}": leaf for key, leaf in found.items()}
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, "use_dora": True}
    adapter = sd.StateDict({**named, f"{root}{MAGNITUDES}{ending}": VALUES})
    scale = 1
    if root != "unet.":
        adapter.config, scale = config, 4
    done = merged(sd.StateDict(weights), adapter)
    total = weights[f"{LAYER}.weight"] + scale * product(found, LAYER)
    got = np.asarray(done.state_dict[f"{LAYER}.weight"])
    assert np.allclose(got, rescaled(total, VALUES), rtol=1e-6)
    assert done.notes[0].endswith(f"scale {scale}, 1 with the magnitudes of DoRA")


def test_an_embedding_gets_the_norms_of_its_columns_and_is_rounded_once() -> None:
    weight, values = np.linspace(1, 2, 42, dtype="f2").reshape(7, 6), VALUES
    found = {"e.lora_embedding_A": numbers(2, 7), "e.lora_embedding_B": numbers(6, 2)}
    pair = {**found, "e.lora_magnitude_vector": values}
    got = sd.merge_lora({"e.weight": weight}, of_peft(pair, use_dora=True))["e.weight"]
    added = 4 * (found["e.lora_embedding_B"] @ found["e.lora_embedding_A"]).T
    expected = rescaled(weight.astype("f4") + added, values, 1)
    assert np.allclose(got.numpy(), expected, rtol=2.0**-11)


JOINED = "lora_unet_model_layers_0_q_proj"


def lycoris(found: dict[str, Any], scale: Any, name: str = JOINED) -> dict[str, Any]:
    return {**kohya(found, "lora_unet"), f"{name}.dora_scale": scale}


def test_the_name_that_diffusers_writes_for_kohya_has_a_dot_more() -> None:
    weights, found = base(LAYER), pairs(LAYER)
    expected = sd.merge_lora(weights, lycoris(found, VALUES))[f"{LAYER}.weight"]
    dotted = "lora_unet_model_layers_0.q_proj"
    found_by_dotted = sd.merge_lora(weights, lycoris(found, VALUES, dotted))
    assert np.array_equal(found_by_dotted[f"{LAYER}.weight"], expected)
    both = {**lycoris(found, VALUES), f"{dotted}.dora_scale": VALUES}
    with pytest.raises(LayoutError, match=rf"{JOINED}.dora_scale and {dotted}.dora_scale"):
        sd.merge_lora(weights, both)


@pytest.mark.parametrize("shape", [(6, 1), (1, 5), (6,)])
def test_lycoris_has_magnitudes_of_outputs_or_of_inputs(shape: tuple[int, ...]) -> None:
    weights, found = base(LAYER), pairs(LAYER)
    values, axis = (VALUES, 0) if 6 in shape else (VALUES[:5], 1)
    got = sd.merge_lora(weights, lycoris(found, values.reshape(shape)))[f"{LAYER}.weight"]
    total = weights[f"{LAYER}.weight"] + 0.5 * product(found, LAYER)
    assert np.allclose(got, rescaled(total, values, axis), rtol=1e-6)


def test_a_pair_without_magnitudes_is_added_as_it_is() -> None:
    weights, found = base(), pairs()
    done = merged(sd.StateDict(weights), lycoris(found, VALUES))
    assert done.notes == (
        "2 pairs of the adapter added to 2 weights, scale 0.5, 1 with the magnitudes of DoRA",
    )
    other = "model.layers.1.q_proj"
    expected = weights[f"{other}.weight"] + 0.5 * product(found, other)
    assert np.array_equal(done.state_dict[f"{other}.weight"], expected)


EPSILON = 2.0**-23


def rescaling(key: str, weight: Any, given: Any, name: str) -> Rescaling:
    return Rescaling(key, weight, AdapterMagnitudes(np.ones(given), name), turned=False)


@pytest.mark.parametrize(
    ("weight", "given", "name", "expected"),
    [
        ((6, 5), (6,), "lora_magnitude_vector", (0, 0)),
        ((6, 5, 3, 3), (1, 6, 1, 1), "lora_magnitude_vector", (0, 0)),
        ((6, 6, 3), (1, 6, 1), "lora_magnitude_vector", (0, 0)),
        ((6, 5, 3, 3), (1, 6, 1, 1), "dora_scale", (0, 0)),
        ((6, 5, 3, 3), (1, 5, 1, 1), "dora_scale", (1, EPSILON)),
        ((6, 5, 3, 3), (6, 1, 1, 1), "dora_scale", (0, EPSILON)),
        ((6, 6), (1, 6), "dora_scale", (1, EPSILON)),
        ((6, 6), (6, 1), "dora_scale", (0, EPSILON)),
        ((6, 5), (6, 1, 1, 1), "dora_scale", (0, EPSILON)),
        ((6, 5, 1, 1), (1, 5), "dora_scale", (1, EPSILON)),
        ((1, 1, 3, 3), (1, 1, 1, 1), "dora_scale", (0, EPSILON)),
    ],
)
def test_the_shape_shows_the_axis(
    weight: tuple[int, ...], given: tuple[int, ...], name: str, expected: tuple[int, float]
) -> None:
    found = magnitudes_by_key([rescaling("w", weight, given, name)])["w"]
    assert (found.axis, found.epsilon) == expected


@pytest.mark.parametrize(
    ("weight", "given", "expected"),
    [
        ((6, 5), (6,), (0, 0)),
        ((6, 5), (1, 5), (1, EPSILON)),
        ((6, 5, 3), (1, 6, 1), (0, 0)),
    ],
)
def test_a_square_convolution_is_as_the_others_of_its_adapter(
    weight: tuple[int, ...], given: tuple[int, ...], expected: tuple[int, float]
) -> None:
    square = rescaling("square", (6, 6, 3), (1, 6, 1), "dora_scale")
    other = rescaling("other", weight, given, "dora_scale")
    found = magnitudes_by_key([square, other])["square"]
    assert (found.axis, found.epsilon) == expected


@pytest.mark.parametrize(
    ("weight", "given", "name", "match"),
    [
        ((6, 5), (5,), "lora_magnitude_vector", r"of w is \[5\] .*weight \[6, 5\]"),
        ((6, 5), (6, 1), "lora_magnitude_vector", r"of w is \[6, 1\] .*weight \[6, 5\]"),
        ((6, 5), (5, 1), "dora_scale", r"dora_scale of w is \[5, 1\] .*weight \[6, 5\]"),
        ((6, 5), (), "dora_scale", r"dora_scale of w is \[\] .*weight \[6, 5\]"),
        ((6, 6, 3), (1, 6, 1), "dora_scale", r"\[1, 6, 1\].*diffusers.*LyCORIS"),
    ],
)
def test_a_shape_of_another_weight_or_of_two_axes_is_refused(
    weight: tuple[int, ...], given: tuple[int, ...], name: str, match: str
) -> None:
    with pytest.raises(LayoutError, match=match):
        magnitudes_by_key([rescaling("w", weight, given, name)])


def of_dora(**more: Any) -> sd.StateDict:
    found = {**pairs(LAYER), MAGNITUDES: VALUES}
    return of_peft({**found, **more.pop("found", {})}, **{"use_dora": True, **more})


TIED = numbers(6, 5)
WRONG: dict[str, tuple[dict[str, Any], sd.StateDict, str]] = {
    "no magnitudes": (base(), of_peft(pairs(), use_dora=True), rf"use_dora.*{LAYER} has no lora_m"),
    "of one layer only": (
        base(),
        of_peft({**pairs(), MAGNITUDES: VALUES}, use_dora=True),
        r"layers\.1\.q_proj has no lora_magnitude_vector",
    ),
    "not stated": (base(LAYER), of_dora(use_dora=False), rf"{LAYER} .*not state use_dora"),
    "integers": (
        base(LAYER),
        of_dora(found={MAGNITUDES: VALUES.astype("i4")}),
        rf"lora_magnitude_vector of {LAYER}\.weight is int32",
    ),
    "a bias": (
        {**base(LAYER), f"{LAYER}.bias": numbers(6)},
        of_dora(found={f"{LAYER}.lora_B.bias": numbers(6)}),
        rf"{LAYER} .*lora_B\.bias",
    ),
    "two names": (
        base(LAYER),
        of_dora(found={f"{MAGNITUDES}.weight": VALUES}),
        r"lora_magnitude_vector and .*lora_magnitude_vector\.weight .*one pair",
    ),
    "two kinds": (
        base(LAYER),
        of_dora(found={f"{LAYER}.dora_scale": VALUES}),
        "lora_magnitude_vector and dora_scale",
    ),
    "no pair": (
        base(LAYER),
        of_dora(found={"head.lora_magnitude_vector": VALUES}),
        "head of the adapter has lora_magnitude_vector and not the matrices",
    ),
    "no pair of a joined name": (
        base(LAYER, "head"),
        sd.StateDict({**kohya(pairs(LAYER), "lora_unet"), "lora_unet_head.dora_scale": VALUES}),
        "head of the adapter has dora_scale and not",
    ),
    "tied weights": (
        {"embed.weight": TIED, "head.weight": TIED},
        of_peft(
            {
                **pairs("embed", "head"),
                "embed.lora_magnitude_vector": VALUES,
                "head.lora_magnitude_vector": VALUES,
            },
            use_dora=True,
        ),
        r"embed\.weight has the pairs of embed and head .*merge_and_unload",
    ),
    "stacked experts": (
        {"mlp.experts.up": numbers(3, 5, 4)},
        of_peft(
            {**experts("mlp.experts", 4, 5)[0], "mlp.experts.lora_magnitude_vector": numbers(5)},
            target_parameters=["experts.up"],
        ),
        r"mlp\.experts has DoRA.*target_parameters",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_peft_does_not_write_is_refused_in_one_sentence(name: str) -> None:
    model, adapter, match = WRONG[name]
    with pytest.raises(sd.LayoutError, match=match) as error:
        sd.merge_lora(model, adapter)
    assert "\n" not in str(error.value)


def test_the_bias_of_a_layer_stays_as_it_is() -> None:
    model = {**base(LAYER), f"{LAYER}.bias": numbers(6)}
    found = sd.merge_lora(model, of_dora())
    assert found[f"{LAYER}.bias"] is model[f"{LAYER}.bias"]


def steps_apart(one: Any, other: Any) -> Any:
    """Return how many numbers of their dtype lie between the elements of two tensors, at most."""
    import torch

    whole = {4: torch.int32, 2: torch.int16}[one.element_size()]
    return (one.contiguous().view(whole).long() - other.contiguous().view(whole).long()).abs().max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::peft", "ignore:`is_gradient", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj", "down_proj"]},
        {"target_modules": ["q_proj", "embed_tokens"], "use_rslora": True},
        {"target_modules": ["c", "p", "l"]},
        {"target_modules": ["c_attn", "c_proj", "wte"], "fan_in_fan_out": True},
    ],
)
@pytest.mark.parametrize(("dtype", "most"), [("float32", 32), ("bfloat16", 1), ("float16", 1)])
def test_peft_s_merge_and_unload_gives_the_same_within_the_rounding_of_its_norms(
    options: dict[str, Any], dtype: str, most: int, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft", reason="it is the oracle")
    torch = pytest.importorskip("torch")
    model = small_model(options["target_modules"]).to(getattr(torch, dtype))
    state = {key: leaf.clone() for key, leaf in model.state_dict().items()}
    config = peft.LoraConfig(r=4, lora_alpha=12, use_dora=True, **options)
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, each in adapted.named_parameters():
            if "lora_" in name:
                each.copy_(torch.rand_like(each) + 0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    found = sd.merge_lora(state, tmp_path / "adapter")
    fresh = small_model(options["target_modules"]).to(getattr(torch, dtype))
    fresh.load_state_dict(state)
    loaded = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter")
    expected = loaded.merge_and_unload().state_dict()
    changed = [key for key, leaf in found.items() if leaf is not state[key]]
    assert changed
    assert all(torch.equal(state[key], expected[key]) for key in state if key not in changed)
    for key in changed:
        assert steps_apart(found[key].torch(), expected[key]) <= most, key


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("on_outputs", [True, False])
@pytest.mark.parametrize("name", ["linear", "conv"])
def test_lycoris_merges_the_same(name: str, on_outputs: bool) -> None:
    locon = pytest.importorskip("lycoris.modules.locon", reason="it is the oracle")
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(48, 64) if name == "linear" else torch.nn.Conv2d(32, 48, 3)
    module = locon.LoConModule(
        "lora_unet_fc", layer, 1.0, 4, alpha=2, weight_decompose=True, wd_on_out=on_outputs
    )
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.rand_like(each) + 0.5)
    adapter = {f"lora_unet_fc.{key}": leaf for key, leaf in module.custom_state_dict().items()}
    model = {"fc.weight": layer.weight.detach()}
    found = sd.merge_lora(model, {key: leaf.detach() for key, leaf in adapter.items()})
    expected = module.get_merged_weight()[0].detach()
    assert steps_apart(found["fc.weight"].torch(), expected) <= 32
