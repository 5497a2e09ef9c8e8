"""Causes are found in names and shapes; each has one line that fixes the load when pasted."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import caten_sd
from caten_sd.loading.causes import likely_cause
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.report import LoadPlan
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.nn.transformer import Transformer
from caten_sd.objects.extract import get_state_dict
from tests.hostile_texts import TEXTS


class Block(nn.Module):
    def __init__(self, width: int = 8, bias: bool = True) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = nn.Linear(width, 3 * width, bias=bias)
        self.mlp = nn.Linear(width, width, bias=bias)


class Model(nn.Module):
    def __init__(self, depth: int = 3, width: int = 8, vocab: int = 64, bias: bool = True) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab, width)
        self.h = nn.ModuleList([Block(width, bias) for _ in range(depth)])
        self.lm_head = nn.Linear(width, vocab, bias=False)


def file_of(**sizes: int) -> dict[str, torch.Tensor]:
    return {key: torch.full_like(leaf, 2) for key, leaf in Model(**sizes).state_dict().items()}


def paste(fix: str, model: object, state_dict: object) -> object:
    """Run the fix as a reader would."""
    names = {name: getattr(caten_sd, name) for name in caten_sd.__all__}
    return eval(fix, {**names, "model": model, "state_dict": state_dict})


def loaded(model: nn.Module) -> bool:
    return all(bool((leaf == 2).all()) for leaf in model.state_dict().values())


def test_a_file_that_fits_has_no_cause() -> None:
    plan = plan_load(Model(), file_of())
    assert (plan.cause, plan.fix) == ("", "")
    assert "likely cause" not in str(plan)


@pytest.mark.parametrize("prefix", ["model", "base_model.model", "net"])
def test_a_prefix_of_the_file(prefix: str) -> None:
    model, file = Model(), {f"{prefix}.{key}": leaf for key, leaf in file_of().items()}
    plan = plan_load(model, file)
    assert f'keys of the file begin with "{prefix}."' in plan.cause
    assert f"{len(file)} of {len(file)} shapes agree" in plan.cause
    paste(plan.fix, model, file)
    assert loaded(model)


def test_a_prefix_of_the_model() -> None:
    model = nn.ModuleDict({"transformer": Model()})
    plan = plan_load(model, file_of())
    assert 'slots of the model begin with "transformer."' in plan.cause
    paste(plan.fix, model, file_of())
    assert loaded(model)


def test_a_renamed_module_is_proposed_and_not_applied() -> None:
    file = {key.replace("lm_head.", "map_classifier."): leaf for key, leaf in file_of().items()}
    model = Model()
    plan = plan_load(model, file)
    assert not plan.fits
    assert (
        "map_classifier of the file looks like lm_head of the model (1 of 1 shape agrees)"
        in plan.cause
    )
    load_state_dict(model, file, silent=True)
    assert not loaded(model)
    paste(plan.fix, model, file)
    assert loaded(model)


def test_a_module_renamed_in_every_layer_is_one_rule() -> None:
    file = {
        key.replace("h.", "layers.").replace(".attn.", ".attention."): leaf
        for key, leaf in file_of(depth=12).items()
    }
    model = Model(depth=12)
    plan = plan_load(model, file)
    assert '"layers.{i}.attention": "h.{i}.attn"' in plan.fix
    paste(plan.fix, model, file)
    assert loaded(model)


def test_last_names_that_differ_are_not_guessed_from_equal_shapes() -> None:
    file = {
        key.replace("ln_1.weight", "ln_1.first").replace("ln_1.bias", "ln_1.second"): leaf
        for key, leaf in file_of().items()
    }
    plan = plan_load(Model(), file)
    assert "first" not in plan.fix
    assert "second" not in plan.fix


@pytest.mark.parametrize(("file", "model"), [(12, 16), (3, 2)])
def test_another_depth(file: int, model: int) -> None:
    cause = plan_load(Model(depth=model), file_of(depth=file)).cause
    assert f"h has {file} layers in the file and {model} in the model" in cause


def test_layers_that_are_missing_in_between_are_not_another_depth() -> None:
    file = {key: leaf for key, leaf in file_of().items() if not key.startswith("h.1.")}
    assert plan_load(Model(), file).cause == ""


def test_another_width() -> None:
    cause = plan_load(Model(width=8), file_of(width=12)).cause
    assert "12 long in the file and 8 in the model" in cause
    assert "12 in place of 8" in cause


def test_a_vocabulary_with_extra_rows() -> None:
    model, file = Model(vocab=50), file_of(vocab=64)
    plan = plan_load(model, file)
    assert "wte.weight has 14 rows more in the file (64) than in the model (50)" in plan.cause
    assert "multiple of 64" in plan.cause
    paste(plan.fix, model, file)
    assert loaded(model)


def test_a_vocabulary_with_too_few_rows_keeps_the_models_own() -> None:
    model, file = Model(vocab=64), file_of(vocab=50)
    plan = plan_load(model, file)
    assert "14 rows fewer" in plan.cause
    before = model.wte.weight[50:].clone()
    paste(plan.fix, model, file)
    assert torch.equal(model.wte.weight[50:], before)
    assert (model.wte.weight[:50] == 2).all()


def test_tied_names_that_differ_name_both_and_the_choice() -> None:
    model = Model()
    model.lm_head.weight = model.wte.weight
    file = file_of()
    file["lm_head.weight"] = file["lm_head.weight"] + 1
    plan = plan_load(model, file)
    assert "lm_head.weight is the same tensor as wte.weight" in plan.cause
    choice = re.search(r"on_mismatch=\{.*\}", plan.cause)
    assert choice
    paste(f"load_state_dict(model, state_dict, {choice[0]})", model, file)
    assert loaded(model)


def test_rows_of_another_vocabulary_can_be_chosen() -> None:
    model, file = Model(vocab=50), file_of(vocab=57)
    plan = plan_load(model, file)
    assert "7 rows more" in plan.cause
    choice = re.search(r"on_mismatch=\{.*\}", plan.cause)
    assert choice
    paste(f"load_state_dict(model, state_dict, {choice[0]})", model, file)
    assert loaded(model)


def test_another_layout_is_detected_and_the_fix_loads_it() -> None:
    model = Transformer(16, 2, 2, 1e-5, 24)
    file = to_layout(get_state_dict(Transformer(16, 2, 2, 1e-5, 24)), "hf-gpt2")
    plan = plan_load(model, file)
    assert "the file is in the layout hf-gpt2 and the model in caten-gpt2" in plan.cause
    assert 'to_layout(state_dict, "caten-gpt2")' in plan.fix
    paste(plan.fix, model, file)


def test_of_layouts_with_equal_names_the_one_of_the_files_architecture_is_meant() -> None:
    shapes = dict.fromkeys(("self_attn.q_proj", "self_attn.o_proj"), (8, 8))
    shapes |= dict.fromkeys(("self_attn.k_proj", "self_attn.v_proj"), (4, 8))
    shapes |= {"mlp.gate_proj": (12, 8), "mlp.up_proj": (12, 8), "mlp.down_proj": (8, 12)}
    shapes |= {"input_layernorm": (8,), "post_attention_layernorm": (8,)}
    sizes = {f"model.layers.0.{name}.weight": shape for name, shape in shapes.items()}
    sizes |= {"model.embed_tokens.weight": (16, 8), "model.norm.weight": (8,)}
    sizes |= {"lm_head.weight": (16, 8)}
    right = {key: torch.randn(shape) for key, shape in sizes.items()}
    config = {"num_attention_heads": 2, "num_key_value_heads": 1}
    file = to_layout(right, "gguf-llama", from_layout="hf-llama", config=config)
    model = {key: torch.zeros_like(each) for key, each in right.items()}
    plan = plan_load(model, file)
    assert "in the layout gguf-llama and the model in hf-llama" in plan.cause
    paste(plan.fix, model, file)
    assert all(torch.equal(model[key], each) for key, each in right.items())


def test_sizes_that_differ_in_the_layout_of_the_model_too_are_said_and_get_no_line() -> None:
    file = to_layout(get_state_dict(Transformer(16, 2, 1, 1e-5, 24)), "hf-gpt2")
    plan = plan_load(Transformer(16, 2, 1, 1e-5, 30), file)
    assert "2 tensors in Transformer's layout, such as wte.weight" in plan.cause
    assert "file [24, 16], model [30, 16]" in plan.cause
    assert plan.fix == ""


def test_transposed_matrices_beside_square_ones_get_no_line() -> None:
    file = {k: leaf.T.contiguous() if "attn.w" in k else leaf for k, leaf in file_of().items()}
    plan = plan_load(Model(), file)
    assert "3 matrices are transposed" in plan.cause
    assert "h.{0..2}.mlp.weight" in plan.cause
    assert plan.fix == ""


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["state.0.exp_avg", "state.0.exp_avg_sq", "state.0.step"], "optimizer's state"),
        (["base.h.0.attn.lora_A.weight", "base.h.0.attn.lora_B.weight"], "adapter"),
        (["unet.lora_down.weight", "unet.lora_up.weight", "unet.alpha"], "adapter"),
        (["h.0.attn.qweight", "h.0.attn.qzeros", "h.0.attn.scales"], "quantized"),
        (["h.0.mlp.weight_scale_inv"], "quantized"),
    ],
)
def test_a_file_of_another_kind(keys: list[str], words: str) -> None:
    dtype = torch.int32 if words == "quantized" else torch.float32
    cause = cause_of(
        plan_load(Model(), dict.fromkeys(keys, torch.zeros(5, dtype=dtype)) | some_weights())
    )
    assert words in cause.text
    assert keys[0] in cause.text


def some_weights() -> dict[str, torch.Tensor]:
    return {"lm_head.weight": torch.zeros(64, 8)}


def cause_of(plan: LoadPlan) -> Cause:
    return Cause(plan.cause, plan.fix)


def test_a_name_that_only_contains_the_word_is_not_an_adapter() -> None:
    file = file_of() | {"lora_head.weight": torch.zeros(3), "flora.weight": torch.zeros(3)}
    assert "adapter" not in plan_load(Model(), file).cause


def test_hardly_any_name_in_common() -> None:
    bert = {
        f"bert.encoder.layer.{i}.{name}": torch.zeros(7, 5)
        for i in range(4)
        for name in ("query.weight", "key.weight")
    }
    plan = plan_load(Model(), bert)
    assert "0 of the file's 8 names occur in Model" in plan.cause
    assert "bert.encoder.layer.{0..3}.{query,key}.weight" in plan.cause or "bert" in plan.cause


def test_no_fix_advises_to_turn_a_check_off() -> None:
    files = [
        file_of(depth=5), file_of(width=12), file_of(vocab=70), {"x": torch.zeros(1)},
        {f"m.{key}": leaf for key, leaf in file_of().items()},
    ]  # fmt: skip
    for file in files:
        text = str(plan_load(Model(), file))
        assert "strict=False" not in text
        assert "allow_" not in text
        assert "silent" not in text
        assert len(text.splitlines()) <= 20


def test_without_evidence_there_is_no_cause() -> None:
    model = {"a": torch.zeros(3), "b": torch.zeros(4)}
    file = {"a": torch.zeros(3)}
    plan = plan_load(model, file)
    case = Case("dict", get_state_dict(model), get_state_dict(file), list(plan.rows))
    assert likely_cause(case) is None


def hostile_loads(text: str) -> Iterator[LoadPlan]:
    """Yield plans whose causes name keys of the file."""
    pair = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}
    yield plan_load(nn.Linear(2, 2), {f"{text}.{key}": value for key, value in pair.items()})
    yield plan_load({f"wte{text}": torch.zeros(50, 2)}, {f"wte{text}": torch.zeros(64, 2)})
    yield plan_load({f"wte{text}": torch.zeros(64, 2)}, {f"wte{text}": torch.zeros(50, 2)})
    yield plan_load({text: torch.zeros(4, 2)}, {text: torch.zeros(2, 4)})
    layers = {f"{text}.{index}.w": torch.zeros(2) for index in range(5)}
    yield plan_load(dict(list(layers.items())[:2]), layers)
    shared = torch.zeros(2)
    yield plan_load({text: shared, "b": shared}, {text: torch.zeros(2), "b": torch.ones(2)})
    yield plan_load(nn.Linear(2, 2), {f"{text}.lora_A": torch.zeros(2)})


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_key_does_nothing_in_the_fix_and_on_the_screen(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {name: lambda *args, **options: None for name in caten_sd.__all__}
    for plan in hostile_loads(text):
        shown = str(plan)
        assert shown.replace("\n", "").isprintable()
        assert plan.fix.isprintable()
        assert sum(line.startswith("fix: ") for line in shown.split("\n")) == bool(plan.fix)
        with contextlib.suppress(
            NameError, TypeError, AttributeError
        ):  # peft, and what is to be replaced
            exec(plan.fix, {**known, "model": 0, "state_dict": 0, "dict": lambda *args: 0})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["w[0]", "w*", "it's", 'a"b', "a\nb", "\x1b", "{i}"])
def test_the_fix_for_an_odd_name_fixes_the_load(name: str) -> None:
    name = f"wte {name}"
    model, state_dict = {name: torch.zeros(50, 2)}, {name: torch.ones(64, 2)}
    fixed = paste(plan_load(model, state_dict).fix, model, state_dict)
    assert fixed is not None
    assert model[name].sum() == 100
