"""A LoRA adapter added to a model gives the weights that peft's merge_and_unload gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from tests.blocks.schemes.test_awq import packed as packed_by_awq

RANDOM = np.random.default_rng(0)
LAYERS = ("model.layers.0.q_proj", "model.layers.1.q_proj")
CONFIG = {"peft_type": "LORA", "lora_alpha": 8, "r": 2}


def numbers(*shape: int) -> Any:
    """Return small whole numbers, whose sums and products are exact."""
    return RANDOM.integers(-4, 5, shape).astype("f4")


def base(*layers: str) -> dict[str, Any]:
    return {f"{layer}.weight": numbers(6, 5) for layer in layers or LAYERS}


def pairs(*layers: str) -> dict[str, Any]:
    found = {}
    for layer in layers or LAYERS:
        found[f"{layer}.lora_A.weight"] = numbers(2, 5)
        found[f"{layer}.lora_B.weight"] = numbers(6, 2)
    return found


def product(adapter: dict[str, Any], layer: str) -> Any:
    return adapter[f"{layer}.lora_B.weight"] @ adapter[f"{layer}.lora_A.weight"]


def of_peft(found: dict[str, Any], **config: Any) -> sd.StateDict:
    named = {f"base_model.model.{key}": leaf for key, leaf in found.items()}
    return sd.StateDict(named, config={**CONFIG, **config})


def below(part: str, found: dict[str, Any]) -> dict[str, Any]:
    return {f"{part}.{key}": leaf for key, leaf in found.items()}


def kohya(found: dict[str, Any], start: str) -> dict[str, Any]:
    return {
        f"{start}_{layer.replace('.', '_')}.{name}": leaf
        for key, each in found.items()
        for layer, _, ending in [key.partition(".lora_")]
        for name, leaf in (
            [("lora_down.weight", each), ("alpha", np.array(1.0, "f4"))]
            if ending.startswith("A")
            else [("lora_up.weight", each)]
        )
    }


def in_dialect(name: str, found: dict[str, Any]) -> tuple[sd.StateDict, float]:
    """Return an adapter in a dialect, and the scale of its pairs."""
    if name == "peft":
        return of_peft(found), 4
    if name == "peft live":
        named = {
            f"base_model.model.{key.replace('.weight', '.default.weight')}": leaf
            for key, leaf in found.items()
        }
        return sd.StateDict(named, config=CONFIG), 4
    if name == "kohya":
        return sd.StateDict(kohya(found, "lora_unet")), 0.5
    started = {f"unet.{key}": leaf for key, leaf in found.items()}
    text = json.dumps({"unet.lora_alpha": 6, "unet.r": 2})
    metadata = {"lora_adapter_metadata": text} if name == "diffusers with alpha" else {}
    return sd.StateDict(started, metadata=metadata), 3 if metadata else 1


@pytest.mark.parametrize("root", ["", "unet."])
@pytest.mark.parametrize(
    "name", ["peft", "peft live", "kohya", "diffusers", "diffusers with alpha"]
)
def test_every_dialect_gives_the_sum(name: str, root: str) -> None:
    weights, found = base(), pairs()
    adapter, scale = in_dialect(name, found)
    model = {f"{root}{key}": leaf for key, leaf in weights.items()}
    merged = sd.merge_lora({**model, "other": numbers(3)}, adapter)
    for layer in LAYERS:
        expected = weights[f"{layer}.weight"] + scale * product(found, layer)
        assert np.array_equal(merged[f"{root}{layer}.weight"], expected)
    assert list(merged) == [*model, "other"]


@pytest.mark.parametrize(
    ("removed", "added"), [("model.", ""), ("", "language_model."), ("model.layers.", "h.")]
)
def test_a_beginning_that_only_one_side_has_is_told_by_all_pairs(removed: str, added: str) -> None:
    weights, found = base(), pairs()
    model = {added + key.removeprefix(removed): leaf for key, leaf in weights.items()}
    if removed and added:
        with pytest.raises(sd.LayoutError, match=r"no pair .*model\.layers.*h\.0.*names of its"):
            sd.merge_lora(model, of_peft(found))
        return
    merged = sd.merge_lora(model, of_peft(found))
    for (key, leaf), layer in zip(model.items(), LAYERS, strict=True):
        assert np.array_equal(merged[key], leaf + 4 * product(found, layer))


def test_tied_weights_stay_tied_and_get_both_pairs() -> None:
    weight = numbers(6, 5)
    found = pairs("embed", "head")
    merged = sd.merge_lora({"embed.weight": weight, "head.weight": weight}, of_peft(found))
    assert merged.ties == {"head.weight": "embed.weight"}
    both = product(found, "embed") + product(found, "head")
    assert np.array_equal(merged["head.weight"], weight + 4 * both)


def test_tensors_that_the_adapter_has_whole_take_the_place_of_others() -> None:
    found, whole = pairs(), numbers(3, 5)
    adapter = of_peft({**found, "score.modules_to_save.default.weight": whole})
    merged = sd.merge_lora({**base(), "score.weight": numbers(3, 5)}, adapter)
    assert np.array_equal(merged["score.weight"], whole)
    with pytest.raises(sd.LayoutError, match=r"score\.weight is \[4, 5\].*\[3, 5\]"):
        sd.merge_lora({**base(), "score.weight": numbers(4, 5)}, adapter)
    with pytest.raises(sd.LayoutError, match=r"score\.weight \[3, 5\].*no tensor of that name"):
        sd.merge_lora(base(), adapter)


WRONG: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no pair has a weight": (base("x"), of_peft(pairs()), r"no pair .*model\.layers.*x\.weight"),
    "one pair has none": (base(LAYERS[0]), of_peft(pairs()), rf"{LAYERS[1]}\.weight.*not in the"),
    "half a pair": (base(), of_peft({f"{LAYERS[0]}.lora_A.weight": numbers(2, 5)}), "lora|pair"),
    "no pairs at all": (base(), sd.StateDict(base()), "not of pairs of LoRA"),
    "no keys at all": (base(), sd.StateDict({}), "not of pairs of LoRA: it has none"),
    "no alpha": (base(), sd.StateDict(of_peft(pairs()), config={}), "alpha.*adapter_config"),
    "another shape": (
        {key: numbers(5, 6) for key in base()},
        of_peft(pairs()),
        r"\[5, 6\].*\[6, 2\] and \[2, 5\]",
    ),
    "turned": (base(), of_peft(pairs(), fan_in_fan_out=True), "fan_in_fan_out"),
    "integers": ({k: v.astype("i4") for k, v in base().items()}, of_peft(pairs()), "int32"),
    "loha": (
        base(),
        sd.StateDict({**kohya(pairs(), "lora_unet"), "lora_unet_x.hada_w1_a": numbers(2, 2)}),
        "1 key of the adapter.*LoHa.*cannot.*hada_w1_a",
    ),
    "lokr": (base(), {"lora_unet_x.lokr_w1": numbers(2, 2)}, "LoKr.*cannot.*lokr_w1"),
    "three matrices": (
        base(),
        {**kohya(pairs(), "lora_unet"), "lora_unet_x.lora_mid.weight": numbers(2, 2, 3, 3)},
        "three matrices.*lora_mid",
    ),
    "oft": (base(), {"lora_unet_x.oft_blocks": numbers(2, 2)}, "OFT.*oft_blocks"),
    "names of gguf": (base(), {"blk.0.attn_q.weight.lora_a": numbers(2, 5)}, "lora_a.*kohya"),
    "complex numbers": (
        base(),
        of_peft({key: leaf.astype("c8") for key, leaf in pairs().items()}),
        rf"{LAYERS[0]}\.weight is complex64",
    ),
    "two tensors for one": (
        {**base(), "head.weight": numbers(2, 2)},
        of_peft({**pairs(), "head.weight": numbers(2, 2), "head.base_layer.weight": numbers(2, 2)}),
        r"head\.weight and \S+head\.base_layer\.weight of the adapter are both head\.weight",
    ),
    "a deep name": (base(), of_peft(pairs("a." * 20_000 + "b")), "no pair"),
    "two dialects": (
        base(),
        {**kohya(pairs(), "lora_unet"), **below("unet", pairs())},
        "not of one dialect",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_added_is_refused_in_one_sentence(name: str) -> None:
    model, adapter, match = WRONG[name]
    with pytest.raises(sd.LayoutError, match=match) as error:
        sd.merge_lora(model, adapter)
    assert "\n" not in str(error.value)


def test_a_packed_base_is_refused_and_a_float_of_it_is_not(tmp_path: Path) -> None:
    tensors, values = packed_by_awq()
    outputs, inputs = values.shape
    found = {"fc.lora_A.weight": numbers(2, inputs), "fc.lora_B.weight": numbers(outputs, 2)}
    with pytest.raises(sd.LayoutError, match=r"fc\.qweight.*--dtype f16"):
        sd.merge_lora(tensors, of_peft(found))
    sd.write_state_dict(tensors, tmp_path / "w.safetensors")
    out = tmp_path / "out.safetensors"
    done = sd.convert(tmp_path / "w.safetensors", out, lora=of_peft(found), dtype="f32")
    assert "1 pair of the adapter added to 1 weight, scale 4" in str(done)
    with sd.read_state_dict(out) as merged:
        assert np.array_equal(merged["fc.weight"], values + 4 * product(found, "fc"))


def test_the_parts_of_a_pipeline_that_are_not_there_are_counted() -> None:
    from caten_sd.files.merged_adapters import merged

    unet, text = pairs("down.0.q"), pairs("text_model.q")
    adapters = [
        {**below("unet", unet), **below("text_encoder", text)},
        {**kohya(unet, "lora_unet"), **kohya(text, "lora_te")},
    ]
    for adapter in adapters:
        done = merged(sd.StateDict(base("down.0.q")), adapter)
        assert done.notes[0].startswith("1 pair of the adapter added to 1 weight")
        assert "1 pair was left out" in done.notes[1]
        assert "text_encoder" in done.notes[1]


def test_pairs_of_two_parts_for_one_weight_are_refused() -> None:
    found = pairs("text_model.q")
    adapter = {**below("text_encoder", found), **below("text_encoder_2", found)}
    with pytest.raises(sd.LayoutError, match=r"text_encoder .*text_encoder_2.*folder"):
        sd.merge_lora(base("text_model.q"), adapter)


EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
SIZES = {"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1}


def llama() -> sd.StateDict:
    """Return a small Llama in the names of Hugging Face."""
    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": (12, 8),
        f"{layer}input_layernorm.weight": (8,),
        f"{layer}self_attn.q_proj.weight": (8, 8),
        f"{layer}self_attn.k_proj.weight": (4, 8),
        f"{layer}self_attn.v_proj.weight": (4, 8),
        f"{layer}self_attn.o_proj.weight": (8, 8),
        f"{layer}post_attention_layernorm.weight": (8,),
        f"{layer}mlp.gate_proj.weight": (10, 8),
        f"{layer}mlp.up_proj.weight": (10, 8),
        f"{layer}mlp.down_proj.weight": (8, 10),
        "model.norm.weight": (8,),
        "lm_head.weight": (12, 8),
    }
    config = {"model_type": "llama", "tie_word_embeddings": False, **SIZES}
    return sd.StateDict({key: numbers(*shape) for key, shape in shapes.items()}, config=config)


@pytest.mark.parametrize("use_dora", [False, True])
@pytest.mark.parametrize("layout", ["meta-llama", "gguf-llama", "megatron-llama"])
def test_a_model_in_another_layout_keeps_its_names_and_gets_the_same_sums(
    layout: str, use_dora: bool
) -> None:
    model = llama()
    layers = ["self_attn.q_proj", "self_attn.k_proj", "mlp.gate_proj"]
    found = {}
    for name in layers:
        path = f"model.layers.0.{name}"
        outputs, inputs = model[f"{path}.weight"].shape
        found[f"{path}.lora_A.weight"] = numbers(2, inputs)
        found[f"{path}.lora_B.weight"] = numbers(outputs, 2)
        if use_dora:
            found[f"{path}.lora_magnitude_vector"] = np.arange(1, outputs + 1, dtype="f4")
    adapter = of_peft(found, use_dora=use_dora)
    other = sd.to_layout(model, layout, silent=True)
    other.config = model.config
    merged = sd.merge_lora(other, adapter)
    assert list(merged) == list(other)
    expected = sd.to_layout(sd.merge_lora(model, adapter), layout, silent=True)
    assert not np.array_equal(next(iter(merged.values())), 0)
    for key, leaf in expected.items():
        assert np.array_equal(np.asarray(merged[key]), np.asarray(leaf)), key
    assert any(not np.array_equal(np.asarray(merged[key]), other[key]) for key in merged)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::peft", "ignore:`is_gradient", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj", "down_proj"]},
        {"target_modules": ["q_proj"], "use_rslora": True},
        {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"v_proj": 2}},
        {"target_modules": ["q_proj", "embed_tokens"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["c", "p", "l"], "lora_bias": True},
        {"target_modules": ["c_attn", "c_proj", "wte"], "fan_in_fan_out": True},
        {"target_modules": ["mixtral"], "target_parameters": EXPERTS},
        {"target_modules": ["mixtral", "q_proj"], "target_parameters": EXPERTS[:1]},
        {"target_modules": [], "target_parameters": ["k_proj.weight", "down_proj.weight"]},
        {"target_modules": ["gpt_oss"], "target_parameters": EXPERTS, "use_rslora": True},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_peft_s_merge_and_unload_gives_the_same_bits(
    options: dict[str, Any], dtype: str, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft", reason="it is the oracle")
    torch = pytest.importorskip("torch")
    model = small_model(options["target_modules"]).to(getattr(torch, dtype))
    state = {key: leaf.clone() for key, leaf in model.state_dict().items()}
    sd.write_state_dict(state, tmp_path / "base.safetensors")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=12, **options))
    with torch.no_grad():
        for name, each in adapted.named_parameters():
            if "lora_" in name:
                each.copy_(torch.randn_like(each))
    adapted.save_pretrained(tmp_path / "adapter")
    done = sd.convert(
        tmp_path / "base.safetensors", tmp_path / "out.safetensors", lora=tmp_path / "adapter"
    )
    assert "added to" in str(done)
    fresh = small_model(options["target_modules"]).to(getattr(torch, dtype))
    fresh.load_state_dict(state)
    loaded = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter")
    expected = loaded.merge_and_unload().state_dict()
    with sd.read_state_dict(tmp_path / "out.safetensors") as found:
        assert found.keys() == expected.keys()
        assert all(torch.equal(leaf.torch(), expected[key]) for key, leaf in found.items())


def small_model(layers: list[str]) -> Any:
    """Return a small model that has these layers."""
    import torch
    import transformers

    sizes = {"vocab_size": 64, "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": False}
    if "c" in layers:
        return torch.nn.ModuleDict(
            {
                "c": torch.nn.Conv2d(6, 8, 3),
                "p": torch.nn.Conv2d(8, 4, 1),
                "l": torch.nn.Linear(5, 7),
            }
        )
    if "wte" in layers:
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=16, **sizes)
        return transformers.GPT2LMHeadModel(config)
    if "mixtral" in layers or "gpt_oss" in layers:
        config, model = (
            (transformers.MixtralConfig, transformers.MixtralForCausalLM)
            if "mixtral" in layers
            else (transformers.GptOssConfig, transformers.GptOssForCausalLM)
        )
        counts = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        return model(
            config(hidden_size=32, intermediate_size=32, num_local_experts=3, **counts, **sizes)
        )
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, **sizes
    )
    return transformers.LlamaForCausalLM(config)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("use_dora", [False, True])
@pytest.mark.parametrize("name", ["diffusers", "diffusers with alpha", "kohya"])
def test_diffusers_fuses_the_same_weights(name: str, use_dora: bool, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason="it is the oracle")
    peft = pytest.importorskip("peft", reason="diffusers adds its adapters")
    torch = pytest.importorskip("torch")
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    unet.save_pretrained(tmp_path / "unet")
    alpha = 8 if name == "diffusers with alpha" else 4
    layers = ["to_q", "to_out.0", "conv1", "proj_in"]
    config = peft.LoraConfig(r=4, lora_alpha=alpha, target_modules=layers, use_dora=use_dora)
    unet.add_adapter(config)
    with torch.no_grad():
        for key, each in unet.named_parameters():
            if "lora_" in key:
                each.copy_(torch.rand_like(each) + 0.5)
    given = peft.get_peft_model_state_dict(unet)
    adapter = tmp_path / "pytorch_lora_weights.safetensors"
    if name == "kohya":
        named = {f"unet.{key}": leaf for key, leaf in given.items()}
        sd.write_state_dict(diffusers.utils.convert_state_dict_to_kohya(named), adapter)
    else:
        own = {"r": 4, "lora_alpha": alpha, "use_dora": use_dora}
        stated = own if alpha != 4 else None
        diffusers.StableDiffusionPipeline.save_lora_weights(
            tmp_path, unet_lora_layers=given, unet_lora_adapter_metadata=stated
        )
    unet.fuse_lora()
    expected = {key.replace(".base_layer", ""): leaf for key, leaf in unet.state_dict().items()}
    out = tmp_path / "out.safetensors"
    done = sd.convert(tmp_path / "unet", out, lora=adapter)
    count = sum("lora_A" in key for key in given)
    assert f"{count} pairs of the adapter" in str(done)
    assert ("magnitudes of DoRA" in str(done)) == use_dora
    alike = torch.allclose if use_dora else torch.equal
    with sd.read_state_dict(out) as found:
        assert all(alike(leaf.torch(), expected[key]) for key, leaf in found.items())
