"""Families: Qwen2 is Llama with biases, written as what differs."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.layout import Drop, Lacks, Layout, Rotary, Row, extend
from caten_sd.mapping.layout_plan import to_layout

LLAMA = Layout("llama", [Row(f"l.{{i}}.{p}.weight") for p in "qkv"] + [Row("head.weight")])
HF = Layout(
    "our-llama",
    base=LLAMA,
    prefixes=("model.", ""),
    counts={"i": "n_layer"},
    rows=[
        *(Row(f"l.{{i}}.{p}.weight", f"layers.{{i}}.{p}_proj.weight") for p in "qkv"),
        Row("head.weight", "lm_head.weight", prefixed=False),
        Drop("rotary.inv_freq", "computed"),
    ],
)
GGUF = Layout(
    "ours-llama",
    base=LLAMA,
    metadata={"general.architecture": "llama"},
    sizes={"llama.block_count": "n_layer", "tokenizer.size": "n_vocab"},
    rows=[
        *(Row(f"l.{{i}}.{p}.weight", f"blk.{{i}}.attn_{p}.weight", Rotary("h")) for p in "qk"),
        Row("l.{i}.v.weight", "blk.{i}.attn_v.weight"),
        Row("head.weight", "output.weight"),
    ],
)
QWEN2 = extend(LLAMA, "qwen2", [Row(f"l.{{i}}.{p}.bias") for p in "qkv"])
HF_QWEN2 = extend(
    HF,
    "our-qwen2",
    [Row(f"l.{{i}}.{p}.bias", f"layers.{{i}}.{p}_proj.bias") for p in "qkv"],
    base=QWEN2,
)
GGUF_QWEN2 = extend(
    GGUF,
    "ours-qwen2",
    [Row(f"l.{{i}}.{p}.{kind}", f"blk.{{i}}.attn_{p}.{kind}") for p in "qkv"
     for kind in ("weight", "bias")],
    base=QWEN2,
    metadata={"general.architecture": "qwen2"},
)  # fmt: skip


def test_a_member_of_a_family_has_its_rows_and_the_others() -> None:
    given = {f"model.layers.0.{p}_proj.{k}": np.ones(4) for k in ("weight", "bias") for p in "qkv"}
    given["lm_head.weight"] = np.ones(3)
    there = to_layout(given, GGUF_QWEN2, from_layout=HF_QWEN2, strict=True, n_layer=1)
    assert there["blk.0.attn_q.bias"] is given["model.layers.0.q_proj.bias"]
    assert there["blk.0.attn_q.weight"] is given["model.layers.0.q_proj.weight"], "not rotary"
    back = to_layout(there, HF_QWEN2, from_layout=GGUF_QWEN2, strict=True)
    assert back.keys() == given.keys()


def test_it_is_of_its_own_architecture() -> None:
    assert (HF_QWEN2.architecture, GGUF_QWEN2.architecture) == ("qwen2", "qwen2")
    assert HF_QWEN2.model_types == {"qwen2"}
    assert GGUF_QWEN2.sizes == {"qwen2.block_count": "n_layer", "tokenizer.size": "n_vocab"}
    assert HF_QWEN2.prefixes == HF.prefixes
    assert dict(HF_QWEN2.counts) == {"i": "n_layer"}
    given = {"model.layers.0.q_proj.weight": np.ones(1)}
    with pytest.raises(LayoutError, match="qwen2 and ours-llama one of llama"):
        to_layout(given, GGUF, from_layout=HF_QWEN2)


def test_rows_are_replaced_and_left_out() -> None:
    other = extend(HF, "other", [Drop("rotary.inv_freq", "other reason")], base=LLAMA)
    assert [row.reason for row in other.rows if isinstance(row, Drop)] == ["other reason"]
    headless = extend(LLAMA, "headless", without=("head.weight",))
    assert len(headless.rows) == 3
    none = extend(HF, "x", [Lacks("head.weight", "none")], base=LLAMA)
    assert len(none.rows) == len(HF.rows)
    bare = extend(HF, "bare", without=("rotary.inv_freq",), base=LLAMA, prefixes=("",))
    assert (len(bare.rows), bare.prefixes) == (4, ("",))


def test_another_layout_of_the_same_architecture_has_it_as_base() -> None:
    model = extend(LLAMA, "hf-one", architecture="one/two", prefixes=("model.", ""))
    other = extend(model, "hf-two", base=model, model_types=("two",), prefixes=("text.", ""))
    assert (other.canonical, other.architecture) == (model.canonical, "one/two")
    assert "one" not in other.model_types, "those of the base count only where none are given"
    given = {f"model.l.0.{p}.weight": np.ones(2) for p in "qkv"} | {"model.head.weight": np.ones(3)}
    there = to_layout(given, other, from_layout=model, strict=True)
    assert list(there) == [key.replace("model.", "text.") for key in given]


def test_what_cannot_be_extended_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"no row for head\.bias; correct without="):
        extend(LLAMA, "x", without=("head.bias",))
    with pytest.raises(LayoutError, match="has a base, so give the base"):
        extend(HF, "x")
    with pytest.raises(LayoutError, match="has no base, so leave base= out"):
        extend(LLAMA, "x", base=QWEN2)
    with pytest.raises(LayoutError, match="a layout has no prefix;"):
        extend(LLAMA, "x", prefix="model.")
