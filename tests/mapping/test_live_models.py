"""Layouts of real architectures, applied to live models of transformers and back: equal outputs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    MambaConfig,
    MambaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from caten_sd import (
    get_state_dict,
    load,
    load_state_dict,
    read_state_dict,
    to_layout,
    write_state_dict,
)
from caten_sd.layout import Concat, Layout, NegExp, Rearrange, Row, extend
from caten_sd.state.leaf import Torch, as_array

MIXER = "backbone.layers.{i}.mixer."
PLAIN = {
    "backbone.embeddings.weight": "token_embd.weight",
    "backbone.layers.{i}.norm.weight": "blk.{i}.attn_norm.weight",
    f"{MIXER}D": "blk.{i}.ssm_d",
    f"{MIXER}conv1d.bias": "blk.{i}.ssm_conv1d.bias",
    f"{MIXER}in_proj.weight": "blk.{i}.ssm_in.weight",
    f"{MIXER}x_proj.weight": "blk.{i}.ssm_x.weight",
    f"{MIXER}dt_proj.{{p:weight|bias}}": "blk.{i}.ssm_dt.{p}",
    f"{MIXER}out_proj.weight": "blk.{i}.ssm_out.weight",
    "backbone.norm_f.weight": "output_norm.weight",
}
GGUF_MAMBA = Layout(
    "mine-mamba",
    [
        *(Row(name, here) for name, here in PLAIN.items()),
        Row("lm_head.weight", "output.weight", tied="backbone.embeddings.weight"),
        Row(f"{MIXER}A_log", "blk.{i}.ssm_a", NegExp()),
        Row(f"{MIXER}conv1d.weight", "blk.{i}.ssm_conv1d.weight", Rearrange("c 1 k -> c k")),
    ],
)
IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture(autouse=True)
def _without_kernels() -> None:
    warnings.filterwarnings("ignore", module="transformers")


def test_mamba_goes_through_a_gguf_and_back(tmp_path: Path) -> None:
    config = MambaConfig(hidden_size=16, num_hidden_layers=2, vocab_size=32, state_size=4)
    model, other = MambaForCausalLM(config), MambaForCausalLM(config)
    there = to_layout(
        get_state_dict(model), GGUF_MAMBA, from_layout=GGUF_MAMBA.canonical, strict=True
    )
    a_log = model.backbone.layers[0].mixer.A_log.detach()
    assert np.allclose(there["blk.0.ssm_a"].numpy(), -a_log.exp().numpy())
    assert there["blk.0.ssm_conv1d.weight"].shape == (32, 4)
    write_state_dict(there, tmp_path / "m.gguf")
    with read_state_dict(tmp_path / "m.gguf") as stored:
        back = to_layout(stored, GGUF_MAMBA.canonical, from_layout=GGUF_MAMBA, strict=True)
        load_state_dict(other, back, strict=True)
    assert torch.allclose(model(IDS).logits, other(IDS).logits, atol=1e-6)


LAYER = "encoder.layer.{i}."
HF_BERT = Layout(
    "hf-bert-of-old",
    prefixes=("bert.", ""),
    rows=[
        Row("embeddings.{n:word|position|token_type}_embeddings.weight"),
        *(
            Row(f"{start}LayerNorm.{new}", also=f"{start}LayerNorm.{old}")
            for start in ("embeddings.", f"{LAYER}{{path...}}.")
            for new, old in (("weight", "gamma"), ("bias", "beta"))
        ),
        Row(f"{LAYER}attention.self.{{qkv:query|key|value}}.{{p:weight|bias}}"),
        Row(f"{LAYER}attention.output.dense.{{p:weight|bias}}"),
        Row(f"{LAYER}{{io:intermediate|output}}.dense.{{p:weight|bias}}"),
        Row("pooler.dense.{p:weight|bias}", optional=True),
        Row("cls.predictions.bias", prefixed=False, optional=True),
        Row("cls.predictions.transform.{path...}", prefixed=False, optional=True),
        *(
            Row(f"cls.predictions.decoder.{p}", prefixed=False, optional=True, tied=first,
                given="cls.predictions.bias")
            for p, first in (("weight", "embeddings.word_embeddings.weight"),
                             ("bias", "cls.predictions.bias"))
        ),
    ],
)  # fmt: skip


@pytest.mark.parametrize("headless", [True, False])
def test_an_old_bert_is_loaded_with_its_head_and_without(tmp_path: Path, headless: bool) -> None:
    sizes = dict.fromkeys(("hidden_size", "intermediate_size", "max_position_embeddings"), 16)
    config = BertConfig(num_hidden_layers=2, num_attention_heads=2, vocab_size=40, **sizes)
    full = BertForMaskedLM(config).eval()
    old = {
        key.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
        for key, tensor in full.bert.state_dict(prefix="bert.").items()
    }
    head = {k: t for k, t in full.state_dict().items() if "bert." not in k and "decoder" not in k}
    torch.save(old if headless else {**old, **head}, tmp_path / "old.bin")
    target = BertModel(config, add_pooling_layer=False) if headless else BertForMaskedLM(config)
    load(target.eval(), tmp_path / "old.bin", layout=HF_BERT, from_layout=HF_BERT, strict=True)
    meant = (full.bert if headless else full)(IDS)[0]
    assert torch.equal(target(IDS)[0], meant)


LLAMA = Layout(
    "megatron-llama",
    [
        Row("model.embed_tokens.weight", "embedding.weight"),
        Row(
            tuple(f"model.layers.{{i}}.self_attn.{p}_proj.weight" for p in "qkv"),
            "decoder.{i}.qkv.weight",
            Concat(("num_attention_heads", "num_key_value_heads", "num_key_value_heads")),
        ),
        Row("model.layers.{i}.self_attn.o_proj.weight", "decoder.{i}.proj.weight"),
        Row("model.layers.{i}.mlp.{path...}.weight", "decoder.{i}.mlp.{path...}.weight"),
        Row("model.layers.{i}.{name}_layernorm.weight", "decoder.{i}.norm_{name}.weight"),
        Row("model.norm.weight", "final_norm.weight"),
        Row("lm_head.weight", "output.weight"),
    ],
)
QWEN2 = extend(
    LLAMA,
    "megatron-qwen2",
    [
        Row(
            tuple(f"model.layers.{{i}}.self_attn.{p}_proj.bias" for p in "qkv"),
            "decoder.{i}.qkv.bias",
            Concat(("num_attention_heads", "num_key_value_heads", "num_key_value_heads")),
        )
    ],
)


def test_qwen2_is_llama_and_three_biases() -> None:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen2Config(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=40, **heads
    )
    model, other = Qwen2ForCausalLM(config), Qwen2ForCausalLM(config)
    state = get_state_dict(model)
    there = to_layout(state, QWEN2, from_layout=QWEN2.canonical, config=config, strict=True)
    assert there["decoder.1.qkv.bias"].shape == (32,)
    stored = {key: as_array(Torch(), leaf).detach().clone() for key, leaf in there.items()}
    back = to_layout(stored, QWEN2.canonical, from_layout=QWEN2, config=config, strict=True)
    load_state_dict(other, back, strict=True)
    assert torch.equal(model(IDS).logits, other(IDS).logits)
