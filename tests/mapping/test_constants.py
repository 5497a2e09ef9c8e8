"""Names that a layout lacks: left out with a reason, or constants that are checked and made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd.errors import LayoutError
from caten_sd.layout import Concat, Constant, Lacks, Layout, Row
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.state.leaf import Numpy, as_array

BASE = Layout(
    "base",
    [
        Row("emb.w"),
        *(Row(f"h.{{i}}.{part}.{kind}") for part in "qkv" for kind in ("w", "b")),
        Row("pooler.w"),
    ],
)
WHISPER = Layout(
    "whisper",
    base=BASE,
    rows=[
        Row("emb.w", "embed"),
        *(Row(f"h.{{i}}.{part}.w", f"l.{{i}}.{part}_proj.w") for part in "qkv"),
        *(Row(f"h.{{i}}.{part}.b", f"l.{{i}}.{part}_proj.b") for part in "qv"),
        Lacks(
            "h.{i}.k.b",
            "the projection of the keys has no bias",
            constant=Constant(0.0, like="h.{i}.k.w", axes=(0,)),
        ),
        Lacks("pooler.w", "it keeps no pooler"),
    ],
)
FUSED = Layout(
    "fused",
    base=BASE,
    rows=[
        Row("emb.w"),
        *(
            Row(tuple(f"h.{{i}}.{part}.{kind}" for part in "qkv"), f"h.{{i}}.qkv.{kind}",
                Concat((1, 1, 1)))
            for kind in ("w", "b")
        ),
        Row("pooler.w"),
    ],
)  # fmt: skip


def whisper(dtype: str = "f4") -> dict[str, Any]:
    found = {"embed": np.ones((5, 4), dtype)}
    for i, part in [(i, part) for i in range(2) for part in "qkv"]:
        found[f"l.{i}.{part}_proj.w"] = np.full((4, 4), i + 1, dtype)
        if part != "k":
            found[f"l.{i}.{part}_proj.b"] = np.full(4, i + 2, dtype)
    return found


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_a_constant_is_made_checked_and_left_out(dtype: str) -> None:
    given = whisper(dtype)
    plan = plan_layout(given, FUSED, from_layout=WHISPER)
    bias = plan.state_dict["h.1.qkv.b"].numpy()
    assert bias.tolist() == [3] * 4 + [0] * 4 + [3] * 4
    assert bias.dtype == dtype
    assert not plan.findings.complaint
    assert "made, 0 throughout: the projection of the keys has no bias" in str(plan)
    stored = {key: np.array(leaf) for key, leaf in plan.state_dict.items()}
    back = plan_layout({**stored, "pooler.w": np.ones(3)}, WHISPER, from_layout=FUSED)
    assert {key: np.asarray(leaf).tobytes() for key, leaf in back.state_dict.items()} == {
        key: leaf.tobytes() for key, leaf in given.items()
    }
    assert back.findings.dropped["pooler.w"] == "not in whisper: it keeps no pooler"
    stored["h.1.qkv.b"][5] = 1e-3
    with pytest.raises(LayoutError, match=r"layout whisper, h\.1\.qkv\.b: .*not 0 throughout"):
        to_layout(stored, WHISPER, from_layout=FUSED)


@pytest.mark.parametrize(
    ("leaf", "value", "fits"),
    [
        (np.full(3, 0.1, "float16"), 0.1, True),
        (torch.full((3,), 0.1, dtype=torch.bfloat16), 0.1, True),
        (np.full(3, 7, "int64"), 7.0, True),
        (np.ones(3, "complex64"), 1.0, True),
        (np.zeros(3, "int64"), 0.5, False),
        (np.zeros(3, "bool"), 0.5, False),
        (np.full(3, 255, "uint8"), -1.0, False),
        (np.zeros(3, "int32"), float("inf"), False),
        (np.full(3, np.inf, "float16"), 1e30, False),
        (torch.full((3,), torch.inf, dtype=torch.bfloat16), 3.5e38, False),
    ],
)
def test_a_tensor_is_left_out_only_if_its_dtype_can_hold_the_constant(
    leaf: Any, value: float, fits: bool
) -> None:
    lacks = Lacks("b", "no bias", constant=Constant(value, like="w"))
    layout = Layout("bare", [Row("w"), lacks], base=Layout("c", [Row("w"), Row("b")]))
    given = {"w": np.ones(3), "b": leaf}
    if fits:
        assert list(to_layout(given, layout, from_layout=layout.canonical)) == ["w"]
        return
    with pytest.raises(LayoutError, match=r"b: it is not .* throughout"):
        to_layout(given, layout, from_layout=layout.canonical)
    with pytest.raises(LayoutError, match=r"like w is .*, which cannot hold"):
        to_layout({"w": leaf}, layout.canonical, from_layout=layout)


def test_what_a_layout_lacks_is_no_fault_of_a_conversion_from_it() -> None:
    plan = plan_layout(whisper(), BASE, from_layout=WHISPER)
    assert not plan.findings.complaint
    assert "pooler.w" not in plan.state_dict
    assert plan.state_dict["h.0.k.b"].tolist() == [0.0] * 4
    assert (
        to_layout(plan.state_dict, WHISPER, from_layout=BASE, strict=True).keys()
        == whisper().keys()
    )


def test_a_leaf_without_values_is_not_checked() -> None:
    given = {key: torch.empty(leaf.shape, device="meta") for key, leaf in whisper().items()}
    there = to_layout(given, BASE, from_layout=WHISPER)
    meta = {**there.entry, "h.0.k.b": torch.empty(4, device="meta")}
    assert to_layout(meta, WHISPER, from_layout=BASE, silent=True).keys() == given.keys()


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        (Lacks("h.{i}.x", "no"), r"h\.\{i\}\.x is not a canonical name"),
        (Lacks("pooler.w", "no", constant=Constant(0.0, like="h.{i}.k.w")), "same captures"),
        (
            Lacks("pooler.w", "no", constant=Constant(0.0, like="pooler.w")),
            "another canonical name",
        ),
        (Lacks("emb.w", "no"), "two rows take one key"),
    ],
)
def test_what_cannot_be_lacking_is_refused(lacks: Lacks, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        Layout("wrong", [*WHISPER.rows, lacks], base=BASE)


def test_axes_that_are_not_there_are_named() -> None:
    constant = Constant(0.0, like="emb.w", axes=(2,))
    layout = Layout("a", [Row("emb.w"), Lacks("b", "no", constant=constant)])
    with pytest.raises(LayoutError, match=r"\(5, 4\) does not have the axes \(2,\)"):
        to_layout({"emb.w": np.ones((5, 4))}, layout.canonical, from_layout=layout)


def test_other_names_are_read_and_the_first_is_written() -> None:
    layout = Layout(
        "old",
        [
            Row("ln.{i}.{part:w|b}", "n.{i}.{part}", also="norm{i}.{part}"),
            Row(("q", "k"), ("a.q", "a.k"), also=("b.q", "b.k")),
            Row("o", "a.o", also=("b.o", "c.o")),
        ],
        prefixes=("m.", ""),
    )
    given = {"m.norm0.w": np.ones(1), "norm0.b": np.ones(2), "b.q": np.ones(3), "m.a.k": np.ones(4)}
    given["c.o"] = np.ones(5)
    there = to_layout(given, layout.canonical, from_layout=layout, strict=True)
    assert list(there) == ["ln.0.w", "ln.0.b", "q", "k", "o"]
    back = to_layout(there, layout, from_layout=layout.canonical, strict=True)
    assert list(back) == ["m.n.0.w", "m.n.0.b", "m.a.q", "m.a.k", "m.a.o"]
    assert [id(leaf) for leaf in back.values()] == [id(leaf) for leaf in given.values()]
    with pytest.raises(LayoutError, match=r"b\.o and c\.o"):
        to_layout({"b.o": np.ones(1), "c.o": np.ones(1)}, layout.canonical, from_layout=layout)
    for also, said in (
        (("x.{j}", "y.{j}"), "captures"),
        (("x", "y", "z"), "2 names"),
        ("x", "2 names"),
        (("a.k", "x"), "two rows"),
    ):
        with pytest.raises(LayoutError, match=said):
            Layout("wrong", [Row(("q", "k"), ("a.q", "a.k"), also=also)])


HEAD = [
    Row("wte"),
    Row("head.bias", optional=True),
    Row("head.weight", tied="wte", optional=True, given="head.bias"),
]


@pytest.mark.parametrize("headless", [True, False])
def test_an_optional_tie_is_there_only_with_its_head(headless: bool) -> None:
    layout = Layout("bert", HEAD, prefixes=("bert.",))
    given = {"bert.wte": np.ones(3)} | ({} if headless else {"bert.head.bias": np.ones(3)})
    plan = plan_layout(given, layout.canonical, from_layout=layout)
    assert list(plan.state_dict) == ["wte"] if headless else ["wte", "head.bias", "head.weight"]
    assert not plan.findings.complaint


def test_a_prefix_is_chosen_on_writing() -> None:
    layout = Layout("bert", [Row("w"), Row("b")], prefixes=("bert.", "", "roberta."))
    given = {"w": np.ones(1), "b": np.ones(2)}
    for prefix in layout.prefixes:
        there = to_layout(given, layout, from_layout=layout.canonical, prefix=prefix)
        assert list(there) == [f"{prefix}w", f"{prefix}b"]
        assert layout.prefix_in(there.keys()) == prefix
        again = to_layout(there, layout, prefix="", from_layout=layout)
        assert list(again) == ["w", "b"]
    with pytest.raises(LayoutError, match=r"'x\.' is not a prefix .* 'bert\.', '', 'roberta\.'"):
        to_layout(given, layout, from_layout=layout.canonical, prefix="x.")
    assert np.array_equal(as_array(Numpy(), given["w"]), np.ones(1))


PAIRS = Layout("pairs", [Row("{path...}.down"), Row("{path...}.alpha", optional=True)])
OF_RANK = Layout(
    "of-rank",
    base=PAIRS,
    rows=[
        Row("{path...}.down", "{path...}.a"),
        Lacks(
            "{path...}.alpha",
            "it is the rank",
            constant=Constant("axis 0", like="{path...}.down", axes=(), unless=("scaled",)),
        ),
    ],
)
OF_CONFIG = Layout(
    "of-config",
    base=PAIRS,
    rows=[
        Row("{path...}.down", "{path...}.b"),
        Lacks(
            "{path...}.alpha",
            "it is in the configuration",
            constant=Constant("lora_alpha", like="{path...}.down", axes=()),
        ),
    ],
)


def test_a_constant_may_be_the_length_of_an_axis() -> None:
    made = to_layout({"q.a": np.ones((4, 8), "f2")}, PAIRS, from_layout=OF_RANK, strict=True)
    assert made["q.alpha"].shape == ()
    assert float(made["q.alpha"]) == 4
    assert list(to_layout(made, OF_RANK, from_layout=PAIRS, strict=True)) == ["q.a"]
    with pytest.raises(LayoutError, match=r"q\.alpha: it is not 4 throughout"):
        to_layout({**made, "q.alpha": np.array(8.0)}, OF_RANK, from_layout=PAIRS)
    with pytest.raises(LayoutError, match=r"q\.alpha: \{path\.\.\.\}\.down .* no axis 0"):
        to_layout({"q.alpha": np.array(8.0)}, OF_RANK, from_layout=PAIRS)


def test_a_constant_may_be_a_number_of_the_configuration() -> None:
    given = {"q.b": np.ones((4, 8))}
    made = to_layout(given, PAIRS, from_layout=OF_CONFIG, lora_alpha=16)
    assert float(made["q.alpha"]) == 16
    assert list(to_layout(made, OF_CONFIG, config={"lora_alpha": 16})) == ["q.b"]
    for options, said in (({"lora_alpha": 8}, "not 8 throughout"), ({}, "lora_alpha is needed")):
        with pytest.raises(LayoutError, match=said):
            to_layout(made, OF_CONFIG, **options)
    with pytest.raises(LayoutError, match="lora_alpha is needed"):
        to_layout(given, PAIRS, from_layout=OF_CONFIG)


def test_what_says_otherwise_is_not_overlooked() -> None:
    with pytest.raises(LayoutError, match="scaled is 'True' in the configuration"):
        to_layout({"q.a": np.ones((4, 8))}, PAIRS, from_layout=OF_RANK, config={"scaled": True})


def test_what_the_target_does_not_store_either_is_not_made() -> None:
    other = Layout("other", [*OF_CONFIG.rows[1:], Row("{path...}.down", "{path...}.c")], base=PAIRS)
    given = {"q.b": np.ones((4, 8))}
    assert list(to_layout(given, other, from_layout=OF_CONFIG, strict=True)) == ["q.c"]


def test_such_a_constant_is_text_in_a_toml_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(OF_RANK.to_toml())
    assert Layout.from_toml(tmp_path / "mine.toml").rows == OF_RANK.rows


def test_what_is_left_out_as_tied_has_the_values_of_the_other() -> None:
    base = Layout("of-two", [Row("emb"), Row("head", optional=True)])
    lacks = Lacks("head", "it is the embedding", tied="emb")
    tied = Layout("of-one", [Row("emb", "e"), lacks], base=base)
    given = {"emb": np.ones(3), "head": np.ones(3)}
    assert list(to_layout(given, tied, from_layout=base, strict=True)) == ["e"]
    for wrong in ({"emb": np.ones(3), "head": np.zeros(3)}, {"head": np.ones(3)}):
        with pytest.raises(LayoutError, match=r"head: .* values of emb, .*stores it"):
            to_layout(wrong, tied, from_layout=base)
    with pytest.raises(LayoutError, match="tied='b' must be another canonical name"):
        Layout("wrong", [Lacks("a.{i}", "none", tied="b"), Row("b")])
