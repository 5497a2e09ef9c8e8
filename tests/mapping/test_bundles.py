"""Several models in one file: Stable Diffusion's three, and the language part of a vision model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.layout import (
    Constant,
    Drop,
    Lacks,
    Layout,
    Rotary,
    Row,
    Transpose,
    bundle,
)
from caten_sd.mapping.layout_plan import plan_layout, to_layout

UNET = Layout("unet", [Row("conv.w", shape=("d", "c")), Row("out.{i}.w", shape=("d",))])
LDM_UNET = Layout("ldm-unet", [Row("conv.w", "input.w"), Row("out.{i}.w", "o.{i}.w")], base=UNET)
TEXT = Layout(
    "text", [Row("q.w", shape=("d", "d2")), Row("emb"), Row("head"), Row("bias", optional=True)]
)
CLIP = Layout(
    "clip",
    base=TEXT,
    prefixes=("text_model.", ""),
    rows=[
        Row("q.w", "query", Rotary("heads"), also="old_query"),
        Row("emb"),
        Row("head", tied="emb"),
        Lacks("bias", "none", constant=Constant(0.0, like="emb")),
        Drop("position_ids", "computed"),
    ],
)
SINGLE = bundle(
    "single-sd",
    {"unet": ("model.diffusion_model.", LDM_UNET), "text": ("cond_stage_model.", CLIP)},
    [Drop("betas", "the schedule")],
)
FOLDER = bundle("folder-sd", {"unet": ("unet.", UNET), "text": ("text_encoder.", CLIP)})


def single(prefix: str = "text_model.") -> dict[str, Any]:
    start = f"cond_stage_model.{prefix}"
    return {
        "model.diffusion_model.input.w": np.ones((4, 3)),
        "model.diffusion_model.o.0.w": np.ones(4),
        "model.diffusion_model.o.1.w": np.ones(4),
        f"{start}query": np.arange(16.0).reshape(8, 2),
        f"{start}emb": np.ones(5),
        f"{start}position_ids": np.arange(3),
        "betas": np.ones(9),
    }


@pytest.mark.parametrize("prefix", ["text_model.", ""])
def test_a_single_file_becomes_a_folder_and_comes_back(prefix: str) -> None:
    given = single(prefix)
    plan = plan_layout(given, FOLDER, from_layout=SINGLE, text_heads=2)
    assert not plan.findings.complaint
    assert list(plan.state_dict) == [
        "unet.conv.w",
        "unet.out.0.w",
        "unet.out.1.w",
        "text_encoder.text_model.query",
        "text_encoder.text_model.emb",
    ]
    assert set(plan.findings.dropped) == {
        f"cond_stage_model.{prefix}position_ids",
        "betas",
    }
    back = to_layout(plan.state_dict, SINGLE, from_layout=FOLDER, heads=2, silent=True)
    expected = {key: leaf for key, leaf in single().items() if key not in ("betas",)}
    expected.pop("cond_stage_model.text_model.position_ids")
    assert back.keys() == expected.keys()
    for key, leaf in expected.items():
        assert np.array_equal(np.asarray(back[key]), leaf)


def test_each_part_has_numbers_of_its_own() -> None:
    plan = plan_layout(single(), SINGLE.canonical, from_layout=SINGLE, text_heads=2, heads=3)
    q = plan.state_dict["text.q.w"].numpy()
    assert np.array_equal(
        q, Rotary(2, to="pairs").leaf(single()["cond_stage_model.text_model.query"]).numpy()
    )
    assert not plan.findings.misfits, "d of the unet is not d of the text encoder"
    assert plan.state_dict["text.bias"].tolist() == [0.0] * 5
    with pytest.raises(LayoutError, match="heads is needed"):
        plan_layout(single(), SINGLE.canonical, from_layout=SINGLE)


def test_both_bundles_have_one_canonical_layout() -> None:
    assert SINGLE.canonical.name == FOLDER.canonical.name == "unet as unet and text as text"
    assert SINGLE.canonical.is_canonical


def test_the_rest_of_a_vision_model_is_carried_along() -> None:
    llava = bundle(
        "llava",
        {"language": ("language_model.", CLIP)},
        [Row("vision.{path...}", "vision_tower.{path...}")],
    )
    given = {f"language_model.text_model.{key}": np.ones((4, 1)) for key in ("query", "emb")}
    given["vision_tower.layers.0.w"] = np.ones(2)
    there = to_layout(given, llava.canonical, from_layout=llava, heads=2, strict=True)
    assert "vision.layers.0.w" in there
    assert (
        to_layout(there, llava, from_layout=llava.canonical, heads=2, strict=True).keys()
        == given.keys()
    )


def test_conditions_take_the_numbers_of_the_part() -> None:
    part = Layout("p", [Row("a.{i}", "b.{i}", where="i < n_a"), Row("c.{i}", "d.{i}")])
    both = bundle("both", {"x": ("x.", part), "y": ("y.", part)})
    given = {"x.b.0": np.ones(1), "y.b.3": np.ones(1)}
    there = to_layout(given, both.canonical, from_layout=both, silent=True, x_n_a=1, y_n_a=4)
    assert list(there) == ["x.a.0", "y.a.3"]


@pytest.mark.parametrize(
    "numbers",
    [{"x_n_a": 2, "x_n_low": 9}, {"n_a": 2, "n_low": 9}, {"n_a": 5, "x_n_a": 2, "n_low": 9}],
)
def test_arithmetic_and_conditions_take_the_number_of_the_part_or_of_all(numbers: Any) -> None:
    part = Layout("p", [Row("a.{i}", "b.{i+n_a}.w", where="i < n_low"), Row("c.{i}", "d.{i}")])
    both = bundle("both", {"x": ("x.", part)})
    given = {"x.b.2.w": np.ones(1), "x.b.3.w": np.ones(1), "x.d.0": np.ones(1)}
    there = to_layout(given, both.canonical, from_layout=both, **numbers)
    assert list(there) == ["x.a.0", "x.a.1", "x.c.0"]
    assert to_layout(there, both, from_layout=both.canonical, **numbers).keys() == given.keys()


def test_what_no_part_has_may_be_optional_or_lacking() -> None:
    rows = [
        Row("extra", "ex", optional=True, shape=("k",)),
        Row("late.{i}", where="i > 1", optional=True),
        Lacks("late.{i}", "it begins later", where="i <= 1"),
    ]
    both = bundle("both", {"unet": ("model.", LDM_UNET)}, rows)
    given = {"model.input.w": np.ones((4, 3)), "model.o.0.w": np.ones(4)}
    there = to_layout(given, both.canonical, from_layout=both, strict=True)
    assert to_layout(there, both, from_layout=both.canonical, strict=True).keys() == given.keys()
    plan = plan_layout({**given, "ex": np.ones((2, 2))}, both.canonical, from_layout=both)
    assert [misfit.key for misfit in plan.findings.misfits] == ["ex"]


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        ({"a b": ("x.", UNET)}, {}, "is not a part"),
        ({"a": ("x", UNET)}, {}, "is not a part"),
        ({"a": ("x/", UNET)}, {"separator": "/"}, "'\\.' between its names"),
        ({"a": ("", UNET), "b": ("", UNET)}, {}, "two rows take one key"),
    ],
)
def test_what_is_not_a_bundle_is_refused(parts: Any, options: Any, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        bundle("wrong", parts, **options)


def test_operations_are_inverted_within_a_part() -> None:
    part = Layout("p", [Row("a", "b", Transpose()), Row("c", "d", Rotary("h"))])
    both = bundle("both", {"x": ("x.", part)})
    given = {"x.b": np.ones((2, 3)), "x.d": np.arange(8.0)}
    there = to_layout(given, both.canonical, from_layout=both, x_h=2)
    back = to_layout(there, both, from_layout=both.canonical, x_h=2)
    assert [id(leaf) for leaf in back.values()] == [id(leaf) for leaf in given.values()]
    assert there["x.a"].shape == (3, 2)
