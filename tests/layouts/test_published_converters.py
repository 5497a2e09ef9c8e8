"""Layouts of files that transformers 5 reads no more, held against its converters of before.

They want a virtual environment of their own, with transformers 4.46, in whose wheel these are.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from caten_sd import convert, read_state_dict
from caten_sd.layouts import bert, gpt2, llama
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.state_dict import StateDict

OLD = "transformers.models.llama.convert_llama_weights_to_hf"
HAS_CONVERTERS = transformers.__version__ < "5" and importlib.util.find_spec(OLD) is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_CONVERTERS, reason="it needs transformers 4.46, not 5"),
]
GPT2_SIZES = {"n_embd": 8, "n_head": 2, "n_layer": 3, "vocab_size": 13, "n_positions": 7}
BERT_SIZES: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 11,
    "num_attention_heads": 2, "max_position_embeddings": 14, "type_vocab_size": 2,
}  # fmt: skip


def random(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray[Any, Any]]:
    chance = np.random.default_rng(0)
    return {name: chance.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {key: np.ascontiguousarray(as_array(Numpy(), leaf)) for key, leaf in state.items()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert set(one) == set(other)
    for key, array in arrays(one).items():
        assert np.array_equal(array, as_array(Numpy(), other[key])), key
        assert array.shape == tuple(other[key].shape), key


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The variables of a checkpoint of TensorFlow, as its two functions tell a converter of them.

    TensorFlow itself adds nothing to what is tested here, and 1.4 GB to the environment.
    """
    variables: dict[str, Any] = {}
    module: Any = types.ModuleType("tensorflow")
    module.train = types.SimpleNamespace(
        list_variables=lambda path: [(name, list(v.shape)) for name, v in variables.items()],
        load_variable=lambda path, name: variables[name],
    )
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return variables


def gpt2_variables() -> dict[str, tuple[int, ...]]:
    """The names and shapes of OpenAI's checkpoint, as its ``model.py`` makes them."""
    width, found = 8, {"model/wte": (13, 8), "model/wpe": (7, 8)}
    for i in range(3):
        for name, ins, outs in (
            ("attn/c_attn", width, 3 * width), ("attn/c_proj", width, width),
            ("mlp/c_fc", width, 4 * width), ("mlp/c_proj", 4 * width, width),
        ):  # fmt: skip
            found[f"model/h{i}/{name}/w"] = (1, ins, outs)
            found[f"model/h{i}/{name}/b"] = (outs,)
        for name in ("ln_1", "ln_2"):
            found |= {f"model/h{i}/{name}/{each}": (width,) for each in "gb"}
    return {**found, "model/ln_f/g": (width,), "model/ln_f/b": (width,)}


def test_openai_s_file_of_gpt_2(tensorflow: dict[str, Any]) -> None:
    from transformers.models.gpt2.modeling_gpt2 import load_tf_weights_in_gpt2

    given = random(gpt2_variables())
    tensorflow.update(given)
    config = transformers.GPT2Config(**GPT2_SIZES)
    model = load_tf_weights_in_gpt2(transformers.GPT2Model(config), config, "checkpoint")
    assert detect_layout(given).layout is gpt2.TF
    found = to_layout(given, gpt2.HF, prefix="")
    same({key: leaf for key, leaf in found.items() if key != "lm_head.weight"}, model.state_dict())
    back = to_layout(model.state_dict(), gpt2.TF, from_layout=gpt2.HF)
    same({key: leaf for key, leaf in back.items() if key not in back.ties}, given)


def bert_variables() -> dict[str, tuple[int, ...]]:
    """The names and shapes of Google's checkpoint, with the moments of its optimizer."""
    wide, tall = 16, 24
    found: dict[str, tuple[int, ...]] = {
        "bert/embeddings/word_embeddings": (40, wide),
        "bert/embeddings/position_embeddings": (14, wide),
        "bert/embeddings/token_type_embeddings": (2, wide),
        "bert/pooler/dense/kernel": (wide, wide),
        "bert/pooler/dense/bias": (wide,),
        "cls/predictions/output_bias": (40,),
        "cls/predictions/transform/dense/kernel": (wide, wide),
        "cls/predictions/transform/dense/bias": (wide,),
        "cls/seq_relationship/output_weights": (2, wide),
        "cls/seq_relationship/output_bias": (2,),
    }
    norms = ["bert/embeddings/LayerNorm", "cls/predictions/transform/LayerNorm"]
    for i in range(11):
        layer = f"bert/encoder/layer_{i}"
        for name, ins, outs in (
            *((f"attention/self/{each}", wide, wide) for each in ("query", "key", "value")),
            ("attention/output/dense", wide, wide),
            ("intermediate/dense", wide, tall),
            ("output/dense", tall, wide),
        ):
            found[f"{layer}/{name}/kernel"], found[f"{layer}/{name}/bias"] = (ins, outs), (outs,)
        norms += [f"{layer}/attention/output/LayerNorm", f"{layer}/output/LayerNorm"]
    return found | {f"{norm}/{each}": (wide,) for norm in norms for each in ("gamma", "beta")}


def test_google_s_file_of_bert(tensorflow: dict[str, Any]) -> None:
    from transformers.models.bert.modeling_bert import load_tf_weights_in_bert

    given = random(bert_variables())
    moments = {f"{name}/adam_{each}": v + 1 for name, v in given.items() for each in "mv"}
    whole = {**given, **moments, "global_step": np.array(7)}
    tensorflow.update(whole)
    config = transformers.BertConfig(**BERT_SIZES)
    model = load_tf_weights_in_bert(transformers.BertForPreTraining(config), config, "checkpoint")
    assert detect_layout(whole).layout is bert.TF
    plan = plan_layout(whole, bert.HF)
    assert len(plan.findings.dropped) == len(moments) + 1
    again = transformers.BertForPreTraining(config)
    again.load_state_dict(
        {k: torch.from_numpy(v) for k, v in arrays(plan.state_dict).items()}, strict=False
    )  # the decoder is tied, so that no file has it
    same(again.state_dict(), model.state_dict())
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert set(plan.state_dict) == set(model.state_dict()) - tied
    back = to_layout(model.state_dict(), bert.TF, from_layout=bert.HF)
    same({key: leaf for key, leaf in back.items() if key not in back.ties}, given)


LLAMA = {"dim": 32, "n_layers": 2, "n_heads": 4, "norm_eps": 1e-5,
         "multiple_of": 16, "vocab_size": 40}  # fmt: skip
WIDE = 96  # what the converter finds for these sizes


def llama_variables(kv: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "tok_embeddings.weight": (40, 32), "norm.weight": (32,), "output.weight": (40, 32),
    }  # fmt: skip
    for i in range(2):
        shapes = {
            "attention.wq": (32, 32), "attention.wk": (kv, 32), "attention.wv": (kv, 32),
            "attention.wo": (32, 32), "feed_forward.w1": (WIDE, 32), "feed_forward.w3": (WIDE, 32),
            "feed_forward.w2": (32, WIDE), "attention_norm": (32,), "ffn_norm": (32,),
        }  # fmt: skip
        found |= {f"layers.{i}.{name}.weight": shape for name, shape in shapes.items()}
    return found


AXES = {"wq": 0, "wk": 0, "wv": 0, "wo": 1, "w1": 0, "w3": 0, "w2": 1, "output": 0}


@pytest.mark.parametrize("heads", [None, 2])
@pytest.mark.parametrize(("version", "ranks"), [("1", 1), ("2", 2), ("3", 2)])
def test_meta_s_files_of_llama(tmp_path: Path, version: str, ranks: int, heads: int | None) -> None:
    """The files of the first Llama do not say how many heads of keys there are: as many as all."""
    converter = importlib.import_module(OLD)
    values = {
        name: torch.from_numpy(v) for name, v in random(llama_variables(8 * (heads or 4))).items()
    }
    given = {name: v.bfloat16().float() for name, v in values.items()}  # as it is written
    axes = {**AXES, "tok_embeddings": 0 if version == "3" else 1}
    folder = tmp_path / "meta"
    folder.mkdir()
    for rank in range(ranks):
        part = {}
        for name, leaf in given.items():
            axis = next((axis for word, axis in axes.items() if f"{word}." in name), None)
            part[name] = leaf if axis is None else leaf.chunk(ranks, axis)[rank].clone()
        torch.save(part, folder / f"consolidated.{rank:02}.pth")
    params = LLAMA | ({} if heads is None else {"n_kv_heads": heads})
    (folder / "params.json").write_text(json.dumps(params))
    out = tmp_path / "hf"
    converter.write_model(
        str(out), str(folder), llama_version=version, vocab_size=40, num_shards=ranks
    )
    model = transformers.LlamaForCausalLM.from_pretrained(out, torch_dtype=torch.float32)
    with read_state_dict(folder) as file:
        assert detect_layout(file).layout is llama.META
        same(to_layout(file, llama.HF), model.state_dict())
        same(to_layout(model.state_dict(), llama.META, from_layout=llama.HF, config=model.config),
             given)  # fmt: skip


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, leaf in flat.items():
        *path, last = key.split(".")
        node = tree
        for each in path:
            node = node.setdefault(each, {})
        node[last] = as_array(Numpy(), leaf)
    return tree


@pytest.mark.parametrize("tied", [True, False])
def test_gpt_2_of_flax(tied: bool) -> None:
    pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")
    torch.manual_seed(0)
    config = transformers.GPT2Config(**GPT2_SIZES, tie_word_embeddings=tied)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    there = to_layout(model.state_dict(), gpt2.FLAX, from_layout=gpt2.HF, config=config)
    flat = {key: leaf for key, leaf in there.items() if key not in there.ties}
    other = transformers.FlaxGPT2LMHeadModel(config)
    import jax

    params = nested(flat)
    assert jax.tree.structure(params) == jax.tree.structure(other.params)
    ids = np.array([[5, 7, 3, 1, 12]])
    logits = np.asarray(other(ids, params=params).logits)
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(logits - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    live = StateDict(
        {".".join(str(step.key) for step in path): leaf
         for path, leaf in jax.tree_util.tree_leaves_with_path(other.params)}
    )  # fmt: skip
    assert detect_layout(live).layout is gpt2.FLAX
    back = to_layout(live, gpt2.HF, config=config)
    model.load_state_dict({key: as_array(Torch(), leaf).clone() for key, leaf in back.items()},
                          strict=not tied)  # fmt: skip
    with torch.no_grad():
        found = model(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(np.asarray(other(ids).logits) - found).max() <= 1e-5


@pytest.mark.parametrize("tied", [True, False])
def test_the_files_of_gpt_2_that_flax_and_torch_write(tmp_path: Path, tied: bool) -> None:
    pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")
    config = transformers.GPT2Config(**GPT2_SIZES, tie_word_embeddings=tied)
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    other = transformers.FlaxGPT2LMHeadModel(config, seed=3)
    other.save_pretrained(theirs)
    ours.mkdir()
    ids = np.array([[5, 7, 3, 1, 12]])
    convert(theirs / "flax_model.msgpack", ours / "model.safetensors", layout="hf-gpt2")
    config.save_pretrained(ours)
    model = transformers.GPT2LMHeadModel.from_pretrained(ours).eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(np.asarray(other(ids).logits) - expected).max() <= 1e-5
    model.save_pretrained(theirs)
    convert(theirs / "model.safetensors", ours / "flax_model.msgpack", layout="flax-gpt2")
    again = transformers.FlaxGPT2LMHeadModel.from_pretrained(ours)
    assert np.array_equal(np.asarray(again(ids).logits), np.asarray(other(ids).logits))
