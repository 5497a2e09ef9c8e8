"""A file of layouts is written from pairs, and its layouts do what the converter did."""

from typing import Any

import numpy as np

from caten_sd import to_layout
from caten_sd.extend import Numpy, as_array
from caten_sd.layout import Layout, Rotary
from tests.oracles.architecture_rows import architecture_of
from tests.oracles.layout_text import file_text
from tests.oracles.model_numbers import Pair

CONFIG = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "vocab_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_local_experts": 3,
}


def toy_pair(name: str, kind: str, more: tuple[str, ...] = ()) -> Pair:
    """Return a pair of a toy architecture with experts, as its converter would make it."""
    random = np.random.default_rng(len(more))
    canonical = {"model.embed_tokens.weight": random.normal(size=(20, 8)).astype("f4")}
    here = {"token_embd.weight": canonical["model.embed_tokens.weight"]}
    for i in range(2):
        q, *others = [random.normal(size=(8, 8)).astype("f4") for _ in ("q", *more)]
        canonical[f"model.layers.{i}.q_proj.weight"] = q
        turned = Rotary(2, to="pairs").apply({(): q})[()]
        here[f"blk.{i}.attn_q.weight"] = np.asarray(as_array(Numpy(), turned))
        for word, each in zip(more, others, strict=True):
            canonical[f"model.layers.{i}.{word}.weight"] = each
            here[f"blk.{i}.{word}.weight"] = each
        experts = random.normal(size=(3, 12, 8)).astype("f4")
        here[f"blk.{i}.ffn_up_exps.weight"] = experts
        canonical |= {f"model.layers.{i}.experts.{e}.up.weight": experts[e] for e in range(3)}
    metadata = {"general.architecture": kind, f"{kind}.block_count": 2}
    return Pair(name, {**CONFIG, "model_type": kind}, canonical, here, metadata)


def written(*pairs: list[Pair]) -> dict[str, Layout]:
    """Return the layouts of the text that is written for the pairs of each architecture."""
    made = [architecture_of(each[0].model_type, each) for each in pairs]
    values: dict[str, Any] = {}
    exec(file_text(made), values)
    return {each.name: each for each in values.values() if isinstance(each, Layout)}


def test_the_layouts_give_the_converters_file_and_come_back() -> None:
    pairs = [[toy_pair("OneForCausalLM", "one")], [toy_pair("TwoForCausalLM", "two", ("extra",))]]
    layouts = written(*pairs)
    assert list(layouts) == ["hf-one", "gguf-one", "hf-two", "gguf-two"]
    for [pair] in pairs:
        hf, gguf = layouts[f"hf-{pair.model_type}"], layouts[f"gguf-{pair.model_type}"]
        there = to_layout(pair.canonical, gguf, from_layout=hf, config=CONFIG, strict=True)
        assert there.keys() == pair.here.keys()
        back = to_layout(there, hf, from_layout=gguf, config=CONFIG, strict=True)
        assert all(
            np.array_equal(as_array(Numpy(), back[key]), each)
            for key, each in pair.canonical.items()
        )


def test_an_architecture_like_one_before_it_extends_it() -> None:
    two = [toy_pair("TwoForCausalLM", "two", ("extra",))]
    made = [
        architecture_of("one", [toy_pair("OneForCausalLM", "one")]),
        architecture_of("two", two),
    ]
    text = file_text(made)
    assert "HF_TWO = extend(HF_ONE, 'hf-two'" in text
    assert text.count("Row('embed_tokens.weight'") == 2


def test_numbers_and_shapes_have_the_names_of_the_configuration() -> None:
    layouts = written([toy_pair("OneForCausalLM", "one")])
    assert layouts["gguf-one"].sizes == {"one.block_count": "num_hidden_layers"}
    assert dict(layouts["hf-one"].counts) == {"i": "num_hidden_layers", "e": "num_local_experts"}
    rows = {row.names: row for row in layouts["hf-one"].rows}
    assert getattr(rows[("embed_tokens.weight",)], "shape", None) == ("vocab_size", "hidden_size")
