"""Layouts whose names are not whole dotted segments: separators, arithmetic, conditions, paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Row

LORA = [
    Row("{path...}.lora_{side:A|B}.weight", "base_model.model.{path...}.lora_{side}.weight"),
    Row("{path...}.alpha", "{path...}.alpha", optional=True),
]
FLAX = [
    Row("h.{i}.attn.weight", "h{i}/attn/kernel", Transpose()),
    Row("h.{i}.attn.bias", "h{i}/attn/bias"),
    Row("wte.weight", "wte/embedding"),
]
UNET = [
    Row("down.{a}.res.{j}.w", "input_blocks.{3*a+j+1}.0.w", where="j < 2"),
    Row("down.{a}.sample.w", "input_blocks.{3*a+3}.0.w"),
    Row("conv_in.w", "input_blocks.0.0.w"),
]
DENSE = [
    Row("l.{i}.mlp.w", "blk.{i}.ffn.weight", where="i < n_dense"),
    Row("l.{i}.mlp.{e}.w", "blk.{i}.ffn_exps.weight", Stack("e"), where="i >= n_dense"),
    Row("high.{i}.w", "blk.{i+n_low}.w"),
    Row("low.{i}.w", "blk.{i}.w", where="i < n_low"),
]
CASES: list[tuple[list[Row], dict[str, Any], list[str], list[str]]] = [
    (
        LORA,
        {},
        ["base_model.model.h.0.q.lora_A.weight", "base_model.model.h.0.q.lora_B.weight", "h.alpha"],
        ["h.0.q.lora_A.weight", "h.0.q.lora_B.weight", "h.alpha"],
    ),
    (
        FLAX,
        {"separator": "/", "prefixes": ("params/",)},
        ["params/h0/attn/kernel", "params/h0/attn/bias", "params/h10/attn/kernel",
         "params/h10/attn/bias", "params/wte/embedding"],
        ["h.0.attn.weight", "h.0.attn.bias", "h.10.attn.weight", "h.10.attn.bias", "wte.weight"],
    ),
    (
        UNET,
        {},
        [f"input_blocks.{n}.0.w" for n in range(7)],
        ["conv_in.w", "down.0.res.0.w", "down.0.res.1.w", "down.0.sample.w", "down.1.res.0.w",
         "down.1.res.1.w", "down.1.sample.w"],
    ),
    (
        DENSE,
        {},
        ["blk.0.ffn.weight", "blk.1.ffn_exps.weight", "blk.0.w", "blk.1.w", "blk.2.w"],
        ["l.0.mlp.w", "l.1.mlp.0.w", "l.1.mlp.1.w", "low.0.w", "low.1.w", "high.0.w"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "options", "here", "canonical"), CASES)
def test_there_and_back(
    rows: list[Row], options: dict[str, Any], here: list[str], canonical: list[str]
) -> None:
    layout = Layout("mine", rows, **options)
    numbers = {"n_dense": 1, "n_low": 2}
    given = {key: np.arange(6.0).reshape(1, 2, 3)[..., : n + 1] for n, key in enumerate(here)}
    given = {
        key: np.repeat(leaf, 2, 0) if "exps" in key else leaf[0] for key, leaf in given.items()
    }
    read = to_layout(given, layout.canonical, from_layout=layout, strict=True, **numbers)
    assert list(read) == canonical
    back = to_layout(read, layout, strict=True, **numbers)
    assert list(back.items()) == list(given.items()), "the very arrays come back"


def test_a_number_that_a_condition_needs_is_asked_for() -> None:
    layout = Layout("mine", DENSE)
    with pytest.raises(LayoutError, match="n_dense is needed"):
        to_layout({"blk.0.ffn.weight": np.ones(1)}, layout.canonical, from_layout=layout)


def test_an_index_without_a_place_is_refused() -> None:
    layout = Layout("mine", [Row("a.{a}.{j}", "b.{2*a+j}")])
    with pytest.raises(LayoutError, match=r"layout mine, a\.0\.2: .* has no place for a 0 and j 2"):
        to_layout({"a.0.2": np.ones(1)}, layout, from_layout=layout.canonical)


def test_choices_of_one_side_hold_for_the_other() -> None:
    layout = Layout("mine", [Row("h.{i}.{part:weight|bias}", "x.{i}.{part}")])
    assert list(to_layout({"h.0.bias": np.ones(1)}, layout, from_layout=layout.canonical)) == [
        "x.0.bias"
    ]
    with pytest.raises(LayoutError, match="part is captured in two ways"):
        Layout("mine", [Row("{part...}.w", "{part}.v")])
    with pytest.raises(LayoutError, match="part is captured in two ways"):
        Layout("mine", [Row("{part:a|b}.w", "{part:a|c}.v")])


def test_a_layout_with_prefixes_is_the_base_of_another() -> None:
    hf = Layout("hf", [Row("x.w"), Row("y.w")], prefixes=("model.", ""))
    assert hf.canonical is not hf
    other = Layout("other", [Row("x.w", "X"), Row("y.w", "Y")], base=hf)
    given = {"model.x.w": np.ones(1), "model.y.w": np.ones(2)}
    there = to_layout(given, other, from_layout=hf, strict=True)
    assert list(there) == ["X", "Y"]
    assert list(to_layout(there, hf, from_layout=other, strict=True)) == list(given)


KOHYA = Layout(
    "kohya",
    [
        Row("{path...}.lora_A.weight", "lora_unet_{path..._}.lora_down.weight"),
        Row("{path...}.lora_B.weight", "lora_unet_{path..._}.lora_up.weight"),
        Row("{path...}.alpha", "lora_unet_{path..._}.alpha", optional=True),
    ],
)
MODEL = [
    "down_blocks.0.attn.to_q.weight",
    "down_blocks.0.attn.to_out.0.bias",
    "mid_block.conv.weight",
]


def kohya(*names: str) -> dict[str, Any]:
    parts = ("lora_down.weight", "lora_up.weight", "alpha")
    return {f"lora_unet_{name}.{part}": np.ones(2) for name in names for part in parts}


def test_the_keys_of_the_model_say_where_joined_names_end() -> None:
    given = kohya("down_blocks_0_attn_to_q", "down_blocks_0_attn_to_out_0")
    options: dict[str, Any] = {"against": MODEL, "strict": True}
    there = to_layout(given, KOHYA.canonical, from_layout=KOHYA, **options)
    assert list(there)[::3] == [
        "down_blocks.0.attn.to_q.lora_A.weight",
        "down_blocks.0.attn.to_out.0.lora_A.weight",
    ]
    back = to_layout(there, KOHYA, from_layout=KOHYA.canonical, strict=True)
    assert list(back.items()) == list(given.items())


def test_joined_names_are_not_guessed() -> None:
    given = kohya("mid_block_conv")
    with pytest.raises(LayoutError, match=r"lora_unet_mid_block_conv.* pass them as against="):
        to_layout(given, KOHYA.canonical, from_layout=KOHYA)
    with pytest.raises(LayoutError, match="3 keys have no row"):
        to_layout(given, KOHYA.canonical, from_layout=KOHYA, against=MODEL[:1], strict=True)
    with pytest.raises(LayoutError, match=r"a\.b_c and a_b\.c .* one text"):
        to_layout(given, KOHYA.canonical, from_layout=KOHYA, against=["a.b_c", "a_b.c"])
    with pytest.raises(LayoutError, match="x_y"):
        to_layout(
            {"x.y.alpha": np.ones(1), "x_y.alpha": np.ones(1)},
            KOHYA,
            from_layout=KOHYA.canonical,
            silent=True,
        )
