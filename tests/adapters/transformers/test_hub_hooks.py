"""Hub files into live models of transformers, whose own loader and saver are the oracle."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping

from caten_sd import (
    CatenError,
    LoadError,
    StateDict,
    get_state_dict,
    load,
    load_state_dict,
    plan_load,
    read_state_dict,
    save,
    with_state,
    write_state_dict,
)
from caten_sd.__main__ import main
from caten_sd.layout import Layout, Row
from tests.adapters.transformers.tiny_models import (
    empty_model,
    every_class,
    shrunk,
    tiny_model,
)

EXPERTS = "model.layers.0.mlp.experts"
OLD = "model.layers.0.block_sparse_moe.experts"
# What each differs in: experts stacked and joined, names, a prefix, and nothing.
SOME = {
    "MixtralForCausalLM": "mixtral",
    "ViTForImageClassification": "vit",
    "LlavaForConditionalGeneration": "llava",
    "GPT2LMHeadModel": "gpt2",
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    yield
    transformers.utils.logging.enable_progress_bar()
    transformers.logging.set_verbosity_warning()


@pytest.fixture
def mixtral(tmp_path: Path) -> Path:
    tiny_model("MixtralForCausalLM", "mixtral").save_pretrained(tmp_path / "hub")
    return tmp_path / "hub"


def other_mixtral() -> PreTrainedModel:
    return tiny_model("MixtralForCausalLM", "mixtral", 1)


def assert_equal(one: PreTrainedModel, other: PreTrainedModel) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert [key for key, value in ours.items() if not value.equal(theirs[key])] == []


class Refused(Exception):
    """transformers itself does not save or load a model: its tiny sizes contradict each other."""


def saved_and_loaded(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    try:
        model.save_pretrained(folder)
        return type(model).from_pretrained(folder)
    except Exception as error:
        raise Refused(str(error)) from error


def check_both_ways(name: str, model_type: str, folder: Path) -> None:
    model = tiny_model(name, model_type)
    expected = saved_and_loaded(model, folder / "theirs")
    ours = load(tiny_model(name, model_type, 1), folder / "theirs", strict=True)
    assert_equal(ours, expected)
    save(ours, folder / "ours/")
    model.config.save_pretrained(folder / "ours")
    assert_equal(type(model).from_pretrained(folder / "ours"), expected)
    with read_state_dict(folder / "theirs") as one, read_state_dict(folder / "ours") as other:
        assert one.keys() <= other.keys()
        assert other.keys() - one.keys() <= {*other.ties, *other.ties.values()}


@pytest.mark.parametrize(("name", "model_type"), SOME.items())
def test_a_hub_file_gives_what_from_pretrained_gives_and_is_written_back(
    name: str, model_type: str, tmp_path: Path
) -> None:
    check_both_ways(name, model_type, tmp_path)


@pytest.mark.slow
def test_experts_of_text_and_of_images_are_one_list_in_the_file(tmp_path: Path) -> None:
    config = shrunk(transformers.CONFIG_MAPPING["ernie4_5_vl_moe"]())
    text = config.text_config
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 2, 1, 16
    text.rope_parameters["mrope_section"] = [3, 3, 2]
    cls = transformers.Ernie4_5_VLMoeForConditionalGeneration
    models = [cls(config).eval() for _ in range(2)]
    models[0].save_pretrained(tmp_path / "theirs")
    load(models[1], tmp_path / "theirs", strict=True)
    assert_equal(models[1], cls.from_pretrained(tmp_path / "theirs"))
    save(models[1], tmp_path / "ours.safetensors")
    with read_state_dict(tmp_path / "theirs") as one:
        assert one.keys() <= read_state_dict(tmp_path / "ours.safetensors").keys()


def converts(name: str, model_type: str) -> bool:
    """Return whether a class can be made tiny and has conversions of its own."""
    try:
        model = empty_model(name, model_type)
        found = bool(get_model_conversion_mapping(model, add_legacy=False))
        tiny_model(name, model_type)
    except Exception:  # a configuration that the small numbers contradict
        return False
    return found


@pytest.mark.slow
def test_all_classes_with_conversions_that_can_be_made_tiny(tmp_path: Path) -> None:
    wrong, right = {}, []
    for name, model_type in every_class().items():
        if not converts(name, model_type):
            continue
        try:
            check_both_ways(name, model_type, tmp_path / name)
            right.append(name)
        except Refused:
            continue
        except (AssertionError, CatenError) as error:
            wrong[name] = str(error)
        finally:
            shutil.rmtree(tmp_path / name, ignore_errors=True)
    assert wrong.keys() == {"ChineseCLIPModel"}  # from_pretrained zeroes the row of its padding
    assert len(right) >= 190


def test_the_plan_says_that_the_file_is_read_in_another_layout(mixtral: Path) -> None:
    plan = plan_load(other_mixtral(), read_state_dict(mixtral))
    assert plan.fits
    assert "6 slots are converted from the layout transformers-MixtralForCausalLM" in str(plan)
    sources = {row.key: row.source for row in plan.rows}
    assert sources[f"{EXPERTS}.down_proj"] == f"{OLD}.0.w2.weight"


def test_a_state_dict_of_the_model_itself_stays_as_it_is() -> None:
    model = other_mixtral()
    plan = plan_load(model, get_state_dict(tiny_model("MixtralForCausalLM", "mixtral")))
    assert plan.fits
    assert "layout" not in str(plan)


def test_with_state_reads_a_hub_file_too(mixtral: Path) -> None:
    old = other_mixtral()
    before = old.state_dict()[f"{EXPERTS}.down_proj"].clone()
    new = with_state(old, read_state_dict(mixtral), strict=True)
    assert_equal(new, type(old).from_pretrained(mixtral))
    assert old.state_dict()[f"{EXPERTS}.down_proj"].equal(before)


def test_a_compiled_model_is_read_and_written_as_the_model_in_it(
    mixtral: Path, tmp_path: Path
) -> None:
    model = torch.nn.DataParallel(other_mixtral())
    load(model, mixtral, strict=True)
    assert_equal(model.module, type(model.module).from_pretrained(mixtral))
    save(model, tmp_path / "w.safetensors")
    assert f"{OLD}.0.w2.weight" in read_state_dict(tmp_path / "w.safetensors")


def test_a_missing_expert_leaves_its_slot_and_names_the_others(mixtral: Path) -> None:
    state = read_state_dict(mixtral)
    entry = {key: leaf for key, leaf in state.items() if key != f"{OLD}.1.w2.weight"}
    plan = plan_load(other_mixtral(), StateDict(entry))
    missing = [row.key for row in plan.rows if row.outcome.name == "MISSING"]
    unexpected = {row.key for row in plan.rows if row.outcome.name == "UNEXPECTED"}
    assert missing == [f"{EXPERTS}.down_proj"]
    assert unexpected == {f"{OLD}.{n}.w2.weight" for n in range(8)} & entry.keys()


@pytest.mark.parametrize("key", ["h.²", f"{OLD}.{'9' * 5000}.w1.weight"])
def test_a_number_that_transformers_cannot_read_is_in_no_slot(mixtral: Path, key: str) -> None:
    plan = plan_load(other_mixtral(), {**read_state_dict(mixtral), key: torch.zeros(1)})
    assert [row.key for row in plan.rows if row.outcome.name == "UNEXPECTED"] == [key]
    assert sum(row.outcome.name == "LOADED" for row in plan.rows) == 21


@pytest.mark.parametrize("given", [None, "text", {"a": torch.zeros(1)}])
def test_an_expert_that_is_not_a_tensor_leaves_its_slot(mixtral: Path, given: object) -> None:
    plan = plan_load(other_mixtral(), {**read_state_dict(mixtral), f"{OLD}.1.w2.weight": given})
    missing = [row.key for row in plan.rows if row.outcome.name == "MISSING"]
    assert missing == [f"{EXPERTS}.down_proj"]


@pytest.mark.parametrize("shape", [(), (0,), (0, 4)])
def test_a_tensor_with_too_few_axes_or_none_of_a_part_is_named(
    mixtral: Path, shape: tuple[int, ...]
) -> None:
    key = f"{OLD}.0.w1.weight"
    with pytest.raises(LoadError) as caught:
        plan_load(other_mixtral(), {**read_state_dict(mixtral), key: torch.zeros(shape)})
    assert f"{key} of the file is {list(shape)}" in str(caught.value)
    assert f"{EXPERTS}.gate_up_proj" in str(caught.value)
    assert "nothing was changed" in str(caught.value)


def test_a_slot_that_the_file_has_in_both_forms_is_an_error_that_names_both(
    mixtral: Path,
) -> None:
    model = other_mixtral()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    own = get_state_dict(model)[f"{EXPERTS}.down_proj"]
    both = {**read_state_dict(mixtral), f"{EXPERTS}.down_proj": own}
    with pytest.raises(LoadError) as caught:
        load_state_dict(model, both)
    assert f"{EXPERTS}.down_proj" in str(caught.value)
    assert f"{OLD}.0.w2.weight" in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_a_layout_that_is_named_wins(tmp_path: Path) -> None:
    model = tiny_model("ViTForImageClassification", "vit")
    keys = list(get_state_dict(model))
    mine = Layout("mine", [Row(key, f"mine.{key}") for key in keys])
    save(model, tmp_path / "w.safetensors", layout=mine, from_layout=mine.canonical)
    with read_state_dict(tmp_path / "w.safetensors") as written:
        assert set(written) == {f"mine.{key}" for key in keys}
    other = tiny_model("ViTForImageClassification", "vit", 1)
    load(other, tmp_path / "w.safetensors", layout=mine.canonical, from_layout=mine, strict=True)
    assert_equal(other, model)


def test_check_says_that_a_hub_file_fits(
    mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "mine.py"
    module.write_text(
        "from transformers import AutoConfig, AutoModelForCausalLM\n"
        f"def build():\n    config = AutoConfig.from_pretrained({str(mixtral)!r})\n"
        "    return AutoModelForCausalLM.from_config(config)\n"
    )
    assert main(["check", str(mixtral), "--against", f"{module}:build", "--json"]) == 0
    assert "21 of 21 slots" in json.loads(capsys.readouterr().out)["verdict"]


def test_a_file_with_the_live_names_loads_as_well(tmp_path: Path) -> None:
    model = tiny_model("MixtralForCausalLM", "mixtral")
    write_state_dict(get_state_dict(model), tmp_path / "live.safetensors")
    assert_equal(load(other_mixtral(), tmp_path / "live.safetensors", strict=True), model)


def test_what_the_library_leaves_out_of_its_files_is_kept_and_not_written(tmp_path: Path) -> None:
    model = tiny_model("MarianMTModel", "marian")
    model.save_pretrained(tmp_path / "theirs")
    other = tiny_model("MarianMTModel", "marian", 1)
    plan = plan_load(other, read_state_dict(tmp_path / "theirs"))
    kept = [row.key for row in plan.rows if row.outcome.name == "KEPT"]
    assert kept == [f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")]
    assert plan.fits
    save(model, tmp_path / "ours.safetensors")
    assert not set(kept) & read_state_dict(tmp_path / "ours.safetensors").keys()


def test_an_unknown_slot_is_still_missing(tmp_path: Path) -> None:
    model = tiny_model("MarianMTModel", "marian")
    state = dict(get_state_dict(model))
    del state["model.encoder.layers.0.fc1.weight"]
    plan = plan_load(model, state)
    assert [row.key for row in plan.rows if row.outcome.name == "MISSING"] == [
        "model.encoder.layers.0.fc1.weight"
    ]


def test_the_prefix_of_a_wrapper_does_not_hide_a_hub_file(mixtral: Path) -> None:
    state = {f"module.{key}": leaf for key, leaf in read_state_dict(mixtral).items()}
    model = other_mixtral()
    plan = plan_load(model, state)
    assert plan.fits
    assert 'stripped "module." from 41 keys' in str(plan)
    assert {row.source for row in plan.rows} <= state.keys()
    plan.apply()
    assert_equal(model, type(model).from_pretrained(mixtral))


def test_a_cause_is_not_sought_in_names_that_the_conversions_explain(mixtral: Path) -> None:
    config = copy.deepcopy(other_mixtral().config)
    config.num_local_experts = 2
    plan = plan_load(transformers.MixtralForCausalLM(config), read_state_dict(mixtral))
    assert not plan.fits
    assert {row.outcome.name for row in plan.rows} == {"LOADED", "SHAPE"}
    assert "layout hf-" not in plan.cause
    assert plan.fix == ""


INV_FREQ = "model.layers.0.self_attn.rotary_emb.inv_freq"


def outcomes(plan: Any) -> dict[str, str]:
    return {row.key: row.outcome.name for row in plan.rows if row.outcome.name != "LOADED"}


def test_keys_that_a_class_leaves_out_are_told_and_do_no_harm() -> None:
    """An encoder is given the file of the whole model, as from_pretrained takes it."""
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    config = transformers.T5Config(vocab_size=40, **sizes)
    whole = transformers.T5ForConditionalGeneration(config)
    model = transformers.T5EncoderModel(config)
    state = {key: value for key, value in whole.state_dict().items() if key != "lm_head.weight"}
    plan = plan_load(model, state)
    left = {key for key in state if key.startswith("decoder.")}
    assert set(outcomes(plan)) - {"encoder.embed_tokens.weight"} == left
    assert {outcomes(plan)[key] for key in left} == {"LEFT_OUT"}
    assert "left out, as the class of the model says" in str(plan)
    assert "the file has nothing else" not in plan.verdict
    load_state_dict(model, state, strict=True)


def test_old_buffers_of_each_layer_are_left_out() -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = transformers.LlamaConfig(vocab_size=40, num_attention_heads=4, **sizes)
    model = transformers.LlamaForCausalLM(config)
    state = {**model.state_dict(), INV_FREQ: torch.ones(4)}
    assert outcomes(plan_load(model, state)) == {INV_FREQ: "LEFT_OUT"}
    assert outcomes(plan_load(model, {**state, "other": torch.ones(4)}))["other"] == "UNEXPECTED"


def test_slots_that_a_file_may_lack_stay_as_they_are() -> None:
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32,
             "decoder_ffn_dim": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
             "max_position_embeddings": 40}  # fmt: skip
    model = transformers.BartForConditionalGeneration(
        transformers.BartConfig(vocab_size=40, **sizes)
    )
    model.final_logits_bias += 3
    state = {k: v for k, v in model.state_dict().items() if k != "final_logits_bias"}
    plan = plan_load(model, state)
    assert outcomes(plan)["final_logits_bias"] == "KEPT"
    load_state_dict(model, state, strict=True)
    assert model.final_logits_bias[0, 0] == 3
    fewer = {key: value for key, value in state.items() if "fc1" not in key}
    assert outcomes(plan_load(model, fewer))["model.decoder.layers.0.fc1.bias"] == "MISSING"
