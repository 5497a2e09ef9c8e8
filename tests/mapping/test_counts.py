"""A declared count of layers or experts is held against the keys that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Split, Unstack
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_check import check_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.rows import Row
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict

ROWS = [Row("l.{i}.w1"), Row("l.{i}.w2"), Row("l.{i}.norm")]
STACKED = Layout("stacked", ROWS, counts={"e": "n_expert", "i": "n_layer"})
APART = Layout(
    "apart",
    base=STACKED,
    rows=[
        *(Row(f"l.{{i}}.w{n}", f"l.{{i}}.experts.{{e}}.w{n}", Unstack("e")) for n in (1, 2)),
        Row("l.{i}.norm"),
    ],
)


def experts(*absent: str, layers: int = 2, count: int = 4) -> dict[str, Any]:
    found = {f"l.{i}.norm": np.ones(3) for i in range(layers)}
    for i in range(layers):
        for e in range(count):
            for n in (1, 2):
                found[f"l.{i}.experts.{e}.w{n}"] = np.zeros((2, 3))
    return {key: leaf for key, leaf in found.items() if key not in absent}


def stacked(state: Any, **numbers: int) -> StateDict:
    return to_layout(state, STACKED, from_layout=APART, strict=True, **numbers)


@pytest.mark.parametrize("numbers", [{}, {"n_expert": 4}, {"n_expert": 4, "n_layer": 2}])
def test_what_is_complete_is_stacked(numbers: dict[str, int]) -> None:
    assert spec(stacked(experts(), **numbers)["l.1.w2"]).shape == (4, 2, 3)


@pytest.mark.parametrize("numbers", [{}, {"n_expert": 4}])
@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("e", [0, 2, 3])
@pytest.mark.parametrize("n", [1, 2])
def test_one_absent_expert_is_named(i: int, e: int, n: int, numbers: dict[str, int]) -> None:
    key = f"l.{i}.experts.{e}.w{n}"
    with pytest.raises(LayoutError, match=key.replace(".", r"\.")):
        stacked(experts(key), **numbers)


@pytest.mark.parametrize("declared", [3, 5])
def test_a_declared_count_of_experts_is_held_against_the_keys(declared: int) -> None:
    with pytest.raises(LayoutError, match=rf"n_expert is {declared}, .* {{e}} up to 3"):
        stacked(experts(), n_expert=declared)


@pytest.mark.parametrize("declared", [1, 3])
def test_a_count_of_layers_in_the_configuration_is_held_against_the_keys(declared: int) -> None:
    state = StateDict(experts(), config={"n_layer": declared})
    with pytest.raises(LayoutError, match=rf"n_layer is {declared}, .* {{i}} up to 1"):
        stacked(state)


PLAIN = Layout(
    "plain",
    [Row("h.{i}.attn.{p:w|b}", "l.{i}.attn.{p:w|b}", in_some_layers=True),
     Row("h.{i}.ssm", "l.{i}.ssm", optional=True),
     Row("h.{i}.e.{e}.w", "l.{i}.e.{e}.w", optional=True), Row("n", "norm")],
    counts={"i": "n_layer", "e": "n_expert"},
)  # fmt: skip


def layers(*indices: int, experts: int = 0) -> dict[str, Any]:
    found = {f"l.{i}.attn.{p}": np.zeros(2) for i in indices for p in "wb"}
    found |= {f"l.{i}.e.{e}.w": np.zeros(2) for i in indices for e in range(experts)}
    return {**found, "norm": np.zeros(2)}


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (layers(0, 2), ["h.{i}.attn", "l.2.attn", "{i} = 1"]),
        (layers(0, 999_999_999_999), ["l.999999999999.attn", "{i} = 1"]),
        ({k: v for k, v in layers(0, 1, experts=4).items() if k != "l.1.e.2.w"},
         ["h.{i}.e.{e}.w", ".e.", "{i} = 1 and {e} = 2"]),
        ({k: v for k, v in layers(0, 1, experts=4).items() if k != "l.0.e.3.w"},
         ["l.0.e.", "{i} = 0 and {e} = 3"]),
    ],
)  # fmt: skip
def test_an_absent_layer_or_expert_is_named_where_names_only_change(
    state: dict[str, Any], facts: list[str]
) -> None:
    with pytest.raises(LayoutError) as caught:
        to_layout(state, PLAIN.canonical, from_layout=PLAIN)
    assert [fact for fact in facts if fact not in str(caught.value)] == []
    found = detect_layout(state, layouts=[PLAIN])
    assert found.layout is None
    assert [fact for fact in facts if fact not in str(found)] == []
    assert not check_layout(state, PLAIN).fits


@pytest.mark.parametrize(
    "state",
    [
        layers(0, 1, 2),
        layers(4, 5),  # as the layers of one process of a pipeline
        {**layers(0, 2), "l.1.ssm": np.zeros(2), "l.3.ssm": np.zeros(2)},  # two kinds of layer
        layers(*range(12), experts=11),
    ],
)
def test_layers_that_are_all_there_have_no_gap(state: dict[str, Any]) -> None:
    to_layout(state, PLAIN.canonical, from_layout=PLAIN, silent=True)
    assert check_layout(state, PLAIN).findings.gap == ""


DENSE = Layout(
    "dense",
    [Row("h.{i}.norm", "l.{i}.norm"),
     Row("h.{i}.attn.{n:q|k}.{p:w|b}", "l.{i}.attn.{n:q|k}.{p:w|b}"),
     Row("h.{i}.qk", ("l.{i}.q", "l.{i}.k"), Split((1, 1), axis=0)),
     Row("h.{i}.up.w", "l.{i}.up.w"), Row("h.{i}.up.b", "l.{i}.up.b", optional=True),
     Row("h.{i}.ssm.a", "l.{i}.ssm.a", in_some_layers=True),
     Row("h.{i}.ssm.d", "l.{i}.ssm.d", in_some_layers=True),
     Row("h.{i}.gate", "l.{i}.gate", where="i >= n_dense"), Row("final", prefixed=False)],
    counts={"i": "n_layer"},
    prefixes=("model.", ""),
)  # fmt: skip


def dense(*absent: str, prefix: str = "model.") -> dict[str, Any]:
    names = ["norm", *(f"attn.{n}.{p}" for n in "qk" for p in "wb"), "q", "k", "up.w", "up.b"]
    keys = [f"{prefix}l.{i}.{name}" for i in range(4) for name in names]
    keys += [f"{prefix}l.{i}.ssm.{name}" for i in (1, 3) for name in "ad"]
    keys += [f"{prefix}l.{i}.gate" for i in (2, 3)]
    return {key: np.zeros(2) for key in [*keys, "final"] if key not in absent}


@pytest.mark.parametrize("prefix", ["model.", ""])
@pytest.mark.parametrize(
    "absent",
    ["l.0.norm", "l.1.norm", "l.3.norm", "l.2.attn.q.w", "l.0.attn.k.b", "l.1.q", "l.3.up.w",
     "l.3.up.b", "l.0.up.b", "l.1.ssm.a", "l.3.ssm.d", "l.2.gate"],
)  # fmt: skip
def test_a_key_that_one_layer_lacks_is_named(prefix: str, absent: str) -> None:
    state = dense(prefix + absent, prefix=prefix)
    with pytest.raises(LayoutError) as caught:
        to_layout(state, DENSE.canonical, from_layout=DENSE, n_dense=2)
    assert f"{prefix}{absent} " in str(caught.value)


def test_a_file_that_lacks_a_key_of_one_layer_is_not_in_the_layout() -> None:
    state = dense("model.l.2.norm")
    found = detect_layout(state, layouts=[DENSE])
    assert found.layout is None
    assert "model.l.2.norm " in str(found)
    assert "model.l.2.norm " in check_layout(state, DENSE).findings.complaint


@pytest.mark.parametrize(
    "absent",
    [(), tuple(f"model.l.{i}.up.b" for i in range(4)), ("model.l.1.ssm.a", "model.l.1.ssm.d")],
)
def test_what_no_layer_has_or_only_some_have_is_not_missing(absent: tuple[str, ...]) -> None:
    result = to_layout(dense(*absent), DENSE.canonical, from_layout=DENSE, n_dense=2, strict=True)
    assert len(result) == len(dense()) - len(absent) - 4


def test_names_that_do_not_follow_from_the_indices_are_not_required_in_each_layer() -> None:
    rows = [Row("a.{i}.{path...}"), Row("b.{name}.{i}.w"), Row("d.{i}.w", "d.{2*i}.w")]
    layout = Layout("free", rows, counts={"i": "n"})
    keys = ["a.0.x", "a.0.y.z", "a.1.x", "a.2.x", "b.up.0.w", "b.down.1.w", "d.0.w", "d.2.w"]
    state = {key: np.zeros(2) for key in keys}
    assert list(to_layout(state, layout.canonical, from_layout=layout, silent=True)) != keys


def test_two_lists_of_layers_that_one_number_counts_have_each_their_own_layers() -> None:
    rows = [Row(f"{kind}.{{i}}.{name}") for kind in ("text", "vision") for name in "ab"]
    layout = Layout("two", [*rows, Row("{side:up|down}.{i}.w")], counts={"i": "n_layer"})
    keys = [f"text.{i}.{name}" for i in range(2) for name in "ab"]
    keys += [f"vision.{i}.{name}" for i in range(4) for name in "ab"]
    keys += ["up.0.w", "up.1.w", "down.0.w"]
    state = {key: np.zeros(2) for key in keys}
    assert list(to_layout(state, layout, from_layout=layout, strict=True)) == keys
    del state["vision.3.b"]
    with pytest.raises(LayoutError, match=r"vision\.3\.b of row"):
        to_layout(state, layout, from_layout=layout)
