"""Files of peft's adapters into live PeftModels and back; peft itself is the oracle."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from caten_sd import CatenError, StateDict, load, plan_load, read_state_dict, save
from caten_sd.state.leaf import Numpy, as_array

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that peft imports
    peft = pytest.importorskip("peft", reason="the oracle of adapters is peft")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ATTENTION = {"target_modules": ["q_proj", "v_proj"]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA": ("LoraConfig", ATTENTION),
    "LoRA and a whole head": ("LoraConfig", {**ATTENTION, "modules_to_save": ["score"]}),
    "LoRA of a classifier": ("LoraConfig", {**ATTENTION, "task_type": "SEQ_CLS"}),
    "DoRA": ("LoraConfig", {**ATTENTION, "use_dora": True}),
    "LoRA of embeddings": ("LoraConfig", {"target_modules": ["q_proj", "embed_tokens"]}),
    "LoRA of new tokens": ("LoraConfig", {**ATTENTION, "trainable_token_indices": [1, 5]}),
    "a bias": ("LoraConfig", {**ATTENTION, "bias": "lora_only"}),
    "AdaLoRA": ("AdaLoraConfig", {**ATTENTION, "total_step": 10}),
    "LoHa": ("LoHaConfig", ATTENTION),
    "IA3": (
        "IA3Config",
        {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    ),
}


def adapted(kind: str, seed: int, name: str) -> Any:
    """Return a tiny model with an adapter of this kind and name, trained to random numbers."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_labels=3,
        num_attention_heads=4, num_key_value_heads=2, pad_token_id=0,
    )  # fmt: skip
    cls, options = KINDS[kind]
    base = LlamaForSequenceClassification(config)
    model = peft.get_peft_model(base, getattr(peft, cls)(**options), adapter_name=name)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each.copy_(torch.randn(each.shape))
    return model


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_loads_under_another_name_and_is_written_back(kind: str, tmp_path: Path) -> None:
    adapted(kind, 0, "default").save_pretrained(tmp_path)
    expected = adapted(kind, 1, "other")
    weights = peft.load_peft_weights(str(tmp_path))
    peft.set_peft_model_state_dict(expected, weights, adapter_name="other")
    model = load(adapted(kind, 1, "other"), tmp_path, strict=True)
    ours, theirs = model.state_dict(), expected.state_dict()
    assert [key for key, value in theirs.items() if not value.equal(ours[key])] == []
    save(model, tmp_path / "back.safetensors")
    with read_state_dict(tmp_path / "back.safetensors") as back:
        assert back.keys() == weights.keys()
        for key, value in weights.items():
            assert (as_array(Numpy(), back[key]) == value.numpy()).all()


def test_the_active_adapter_is_filled_and_everything_else_is_kept(tmp_path: Path) -> None:
    adapted("LoRA", 0, "default").save_pretrained(tmp_path)
    model = adapted("LoRA", 1, "one")
    model.add_adapter("two", peft.LoraConfig(**ATTENTION))
    model.set_adapter("two")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plan = plan_load(model, read_state_dict(tmp_path))
    assert plan.fits
    assert "8 of 8 slots" in plan.verdict
    plan.apply()
    changed = {key for key, value in model.state_dict().items() if not value.equal(before[key])}
    assert len(changed) == 8
    assert all(".two." in key for key in changed)


def test_a_tensor_that_the_adapter_needs_is_missing(tmp_path: Path) -> None:
    adapted("LoRA", 0, "default").save_pretrained(tmp_path)
    state = dict(read_state_dict(tmp_path))
    del state[next(iter(state))]
    plan = plan_load(adapted("LoRA", 1, "default"), StateDict(state))
    assert [row.outcome.name for row in plan.rows].count("MISSING") == 1
    assert not plan.fits


def test_what_is_not_in_the_state_is_not_dropped_without_a_word(tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=3, task_type="SEQ_CLS")
    model = peft.get_peft_model(adapted("LoRA", 0, "default").unload(), config)
    model.save_pretrained(tmp_path)
    with pytest.raises(CatenError, match=r"prompt_embeddings.*save_pretrained"):
        save(model, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()
    with pytest.raises(CatenError, match=r"prompt_embeddings.*nothing was changed"):
        load(model, tmp_path)
