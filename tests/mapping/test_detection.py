from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.layouts.gpt2 import CATEN, GGUF, HF
from caten_sd.mapping import detection as detect
from caten_sd.mapping.assembly import Stack, Unstack
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Drop, Row
from caten_sd.state.state_dict import STAMP, StateDict

NUMBERS = {"vocab_size": 11, "n_positions": 7, "n_embd": 4, "3*n_embd": 12, "n_inner": 16}


def caten(layers: int = 2, **numbers: int) -> StateDict:
    """Return a state dict with Caten's names."""
    sizes = {**NUMBERS, **numbers}
    entry = {
        row.names[0].format(i=i): np.zeros([sizes[str(size)] for size in row.shape or ()], "f4")
        for row in CATEN.rows
        if isinstance(row, Row)
        for i in range(layers if "{i}" in row.names[0] else 1)
    }
    return StateDict(entry)


def unstamped(state: StateDict) -> dict[str, Any]:
    return dict(state)


@pytest.mark.parametrize("name", ["caten-gpt2", "hf-gpt2", "gguf-gpt2"])
def test_a_layout_is_detected_with_its_numbers_and_evidence(name: str) -> None:
    given = unstamped(to_layout(caten(), name, from_layout="caten-gpt2"))
    found = detect_layout(given)
    assert found.layout is not None
    assert (found.layout.name, found.architecture) == (name, "gpt2")
    assert found.numbers == {
        "n_layer": 2,
        "n_embd": 4,
        "vocab_size": 11,
        "n_positions": 7,
        "n_inner": 16,
    }
    assert found.evidence[0] == f"{len(given)} of {len(given)} keys are its names"
    shape = "(4, 12), (3*n_embd, n_embd) transposed" if name == "hf-gpt2" else "(12, 4), (3*n_"
    assert shape in found.evidence[1]
    assert len(str(found).splitlines()) <= 6
    assert str(found).startswith(f"{name} (gpt2: n_layer 2, vocab_size 11, n_embd 4")


def test_the_same_names_the_other_way_round_are_another_layout() -> None:
    """nanoGPT has Hugging Face's names and Caten's orientation."""
    given = unstamped(to_layout(caten(), "hf-gpt2", from_layout="caten-gpt2"))
    turned = {k: v.numpy().T if hasattr(v, "numpy") else v for k, v in given.items()}
    assert str(detect_layout(turned).layout) == "Layout('nanogpt')"
    turned["transformer.h.0.mlp.c_fc.weight"] = np.zeros((4, 16))  # one of them as in hf-gpt2
    found = detect_layout(turned)
    assert found.layout is None
    with pytest.raises(
        LayoutError,
        match=r"hf-gpt2 takes 29 of 29 keys, .* transformer\.h\.0\.attn\.c_attn\.weight .*"
        r"\(4, 12\) .* \(3\*n_embd, n_embd\).* from_layout=",
    ):
        to_layout(turned, "caten-gpt2")
    with pytest.raises(LayoutError, match=r"\(4, 12\) .* reversed .* from_layout="):
        to_layout(turned, "caten-gpt2", from_layout="hf-gpt2")


def test_what_matches_two_layouts_equally_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One name in both, and a square shape, which decides nothing."""
    plain = Layout("plain", [Row("x.w")])
    turned = Layout("turned", [Row("x.w", operation=Transpose())], base=plain)
    monkeypatch.setattr(detect, "built_in_layouts", lambda: {"plain": plain, "turned": turned})
    square = {"x.w": np.zeros((2, 2))}
    found = detect_layout(square)
    assert (found.layout, found.similar) == (None, None)
    (evidence,) = found.evidence
    assert evidence.startswith("plain and turned match 1 key")
    with pytest.raises(LayoutError, match=r"plain and turned .* from_layout="):
        to_layout(square, plain)


def test_a_few_keys_are_not_evidence() -> None:
    assert detect_layout({"ln_f.affine": np.zeros(4)}).layout is None
    with pytest.raises(LayoutError, match="caten-gpt2 takes 1 of 1 key, and 16 "):
        to_layout({"ln_f.affine": np.zeros(4)}, "hf-gpt2")


def test_another_model_is_not_recognized() -> None:
    given = {"nobody.0.has.this": np.zeros((2, 2)), "x": np.zeros(1)}
    found = detect_layout(given)
    assert found.candidates == ()
    assert str(found) == "not known\n  no layout was recognized"
    assert detect_layout({}).layout is None


def test_keys_of_no_row_are_in_the_evidence() -> None:
    given = {**caten(), "score.weight": np.zeros((2, 4))}
    found = detect_layout(given)
    assert (found.layout, found.similar) == (None, CATEN)
    assert found.evidence[0] == "caten-gpt2 takes 29 of 30 keys"
    assert any("score.weight" in line for line in found.evidence)
    with pytest.raises(LayoutError, match=r"score\.weight.* from_layout='caten-gpt2' or --from"):
        to_layout(given, "hf-gpt2")
    assert len(to_layout(given, "hf-gpt2", from_layout="caten-gpt2", silent=True)) == 30


def test_a_required_row_that_finds_no_key_is_named_and_not_applied() -> None:
    given = {key: leaf for key, leaf in caten().items() if key != "wpe.weight"}
    found = detect_layout(given)
    assert (found.layout, found.similar) == (None, CATEN)
    with pytest.raises(LayoutError, match=r"1 row found no key: .*wpe\.weight"):
        to_layout(given, "hf-gpt2")


@pytest.mark.parametrize("said", ["llama", "gptneox", "gpt"])
@pytest.mark.parametrize("where", ["general.architecture", "model_type"])
def test_what_the_file_says_of_itself_is_a_veto(where: str, said: str) -> None:
    given = to_layout(caten(), "gguf-gpt2", from_layout="caten-gpt2").entry
    config = {"model_type": said} if where == "model_type" else None
    metadata = {where: said} if config is None else {}
    found = detect_layout(StateDict(given, metadata=metadata, config=config))
    assert found.layout is None
    assert found.similar is not GGUF
    assert f"gguf-gpt2 takes {len(given)} of {len(given)} keys, but " in str(found)
    assert where in str(found)
    assert repr(said) in str(found)
    with pytest.raises(LayoutError, match=repr(said)):
        to_layout(StateDict(given, metadata=metadata, config=config), "hf-gpt2")
    says_gpt2 = StateDict(
        given, metadata={"general.architecture": "gpt2"}, config={"model_type": "gpt2"}
    )
    assert detect_layout(says_gpt2).layout is GGUF


def test_masks_are_reported_as_dropped() -> None:
    given = unstamped(to_layout(caten(), "hf-gpt2", from_layout="caten-gpt2"))
    masks = {f"transformer.h.{i}.attn.bias": np.zeros((1, 1, 7, 7)) for i in range(2)}
    found = detect_layout({**given, **masks})
    assert found.layout is HF
    assert "transformer.h.{0..1}.attn.bias x2: dropped, the causal mask" in str(found)


def test_layers_are_counted_over_all_keys() -> None:
    assert detect_layout(caten(layers=13)).numbers["n_layer"] == 13


def test_a_layout_that_stacks_is_weighed_by_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Layout("moe", [Row("w.{e}", shape=("n", "m"))], counts={"e": "n_expert"})
    plain = Layout("moe-plain", [Row("w.{e}", "experts.{e}")], base=base)
    turned = Layout("moe-turned", [Row("w.{e}", "experts.{e}", Transpose())], base=base)
    stacked = Layout("moe-stacked", [Row("w.{e}", "experts", Stack("e"))], base=base)
    known = {layout.name: layout for layout in (plain, stacked)}
    monkeypatch.setattr(detect, "built_in_layouts", lambda: known)
    found = detect_layout({"experts": np.zeros((3, 2, 5))})
    assert (found.layout, found.numbers) == (stacked, {"n": 2, "m": 5})
    found = detect_layout({f"experts.{e}": np.zeros((2, 5)) for e in range(3)})
    assert (found.layout, found.numbers) == (plain, {"n_expert": 3, "n": 2, "m": 5})
    known[turned.name] = turned
    assert detect_layout({"experts.0": np.zeros((2, 5))}).layout is None


def test_a_number_that_only_the_caller_knows_does_not_hinder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from caten_sd.mapping.heads import Rotary

    layout = Layout("rope", [Row("q", "wq", Rotary("n_head")), Row("k", "wk")])
    monkeypatch.setattr(detect, "built_in_layouts", lambda: {"rope": layout})
    assert detect_layout({"wq": np.zeros((4, 4)), "wk": np.zeros((4, 4))}).layout is layout


def test_a_better_layout_of_a_plug_in_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(row.names[0]) for row in CATEN.rows if isinstance(row, Row)]
    theirs = Layout("theirs", [*rows, Row("x.w"), Drop("mask", "computed")])
    monkeypatch.setattr(detect, "announced_layouts", lambda: {"theirs": theirs})
    assert detect_layout(caten()).layout is CATEN
    assert detect_layout({**caten(), "x.w": np.zeros(1)}).layout is theirs


def test_values_that_are_not_tensors_do_not_hinder() -> None:
    found = detect_layout({**caten(), "_extra_state": "text"})
    assert found.layout is CATEN


def zeros(*keys: str, **shapes: tuple[int, ...]) -> dict[str, Any]:
    return {key: np.zeros(shapes.get(key, (2,))) for key in keys}


def test_rows_with_literal_indices_find_their_keys() -> None:
    literal = Layout("lit", [Row(f"blocks.{n}.w", f"b.{n}.weight") for n in range(8)])
    found = detect_layout(zeros(*(f"b.{n}.weight" for n in range(8))), layouts=[literal])
    assert found.layout is literal
    found = detect_layout(zeros(*(f"b.{n}.weight" for n in range(7))), layouts=[literal])
    assert (found.layout, found.similar) == (None, literal)
    assert "blocks.7.w" in str(found)


def test_rows_of_some_indices_only_find_their_keys() -> None:
    rows = [
        Row("a.{i}.w", "l.{i}.weight", where="i % 2 == 0"),
        Row("b.{i}.w", "l.{i}.weight", operation=Transpose(), where="i % 2 == 1"),
        Row("c.{i}.w", "m.{2*i+1}"),
    ]
    layout = Layout("some", rows)
    state = {f"l.{n}.weight": np.zeros((2, 3)) for n in range(4)} | zeros("m.1", "m.3")
    assert detect_layout(state, layouts=[layout]).layout is layout
    even = {key: leaf for key, leaf in state.items() if key not in ("l.1.weight", "l.3.weight")}
    assert detect_layout(even, layouts=[layout]).similar is layout
    found = detect_layout({**state, "m.4": np.zeros(1)}, layouts=[layout])
    assert (found.layout, found.similar) == (None, layout)


def test_a_shape_that_one_layer_has_contradicts() -> None:
    layout = Layout("square", [Row("a.{i}", shape=("n", "n")), Row("b.{i}")])
    state = {f"{name}.{i}": np.zeros((3, 3)) for i in range(4) for name in "ab"}
    assert detect_layout(state, layouts=[layout]).layout is layout
    found = detect_layout({**state, "a.2": np.zeros((3, 4))}, layouts=[layout])
    assert found.layout is None
    assert "a.2 would be (3, 4)" in str(found)


def test_a_gap_in_a_stack_is_found() -> None:
    base = Layout("whole", [Row("w", shape=("e", "n")), Row("g", shape=("e",))])
    layout = Layout("apart", [Row("w", "w.{e}", Unstack("e")), Row("g")], base=base)
    state = {f"w.{e}": np.zeros(2) for e in range(5)} | {"g": np.zeros(5)}
    assert detect_layout(state, layouts=[layout]).numbers == {"e": 5, "n": 2}
    del state["w.4"]
    assert detect_layout(state, layouts=[layout]).layout is None


def test_packed_weights_and_their_scales_are_one_tensor() -> None:
    layout = Layout("packed", [Row("x.{i}.weight", "y.{i}.weight"), Row("n", "norm")])
    state: dict[str, Any] = {"norm": np.zeros(4)}
    for i in range(3):
        state |= {f"y.{i}.qweight": np.zeros((4, 4), "i4"), f"y.{i}.scales": np.zeros(4, "f2")}
    found = detect_layout(state, layouts=[layout])
    assert found.layout is layout
    assert found.evidence[0] == "7 of 7 keys are its names"
    rows = [Row("q.{i}", "y.{i}.qweight"), Row("s.{i}", "y.{i}.scales"), Row("n", "norm")]
    alone = Layout("alone", rows)
    assert detect_layout(state, layouts=[alone]).layout is alone
    only = {key: leaf for key, leaf in state.items() if key != "norm"}
    assert detect_layout(only, layouts=[Layout("only", rows[:2])]).layout is not None


class Failing(Transpose):
    def leaf(self, leaf: Any) -> Any:
        raise ZeroDivisionError("no")


def test_a_layout_that_fails_leaves_the_rest_alone() -> None:
    failing = Layout("failing", [*(Row(r.names[0]) for r in CATEN.rows if isinstance(r, Row))][1:])
    failing = Layout("failing", [*failing.rows, Row("wte.weight", operation=Failing())])
    found = detect_layout(caten(), layouts=[failing])
    assert found.layout is CATEN
    assert "failing takes 29 of 29 keys, but it fails (ZeroDivisionError: no)" in found.evidence


def test_a_stamp_comes_first_unless_the_keys_contradict_it() -> None:
    plain = Layout("plain", [Row("x.w"), Row("x.b")])
    turned = Layout("turned", [Row("x.w", operation=Transpose()), Row("x.b")], base=plain)
    state = {"x.w": np.zeros((2, 2)), "x.b": np.zeros(2)}
    stamped = StateDict(state, metadata={STAMP: "turned"})
    found = detect_layout(stamped, layouts=[plain, turned])
    assert found.layout is turned
    assert STAMP in found.evidence[0]
    less = StateDict({"x.b": np.zeros(2)}, metadata={STAMP: "turned"})
    assert detect_layout(less, layouts=[plain, turned]).layout is turned
    more = StateDict({**state, "z": np.zeros(1)}, metadata={STAMP: "turned"})
    assert detect_layout(more, layouts=[plain, turned]).layout is None


def test_what_cannot_be_told_from_another_says_so() -> None:
    rows = [Row("x.{i}.w", shape=("n", "m")), Row("norm")]
    llama, gemma = Layout("my-llama", rows), Layout("my-gemma", rows)
    state = {"x.0.w": np.zeros((2, 3)), "norm": np.zeros(2)}
    found = detect_layout(state, layouts=[llama, gemma])
    assert found.layout is None
    assert found.evidence[0].startswith("my-llama and my-gemma match 2 keys")
    for layout in (llama, gemma):
        says = StateDict(state, config={"model_type": layout.name[3:]})
        assert detect_layout(says, layouts=[llama, gemma]).layout is layout


@pytest.mark.parametrize(
    "own",
    [
        {"rows": [Row("x.{i}"), Drop("mask", "computed")]},
        {"rows": [Row("x.{i}")], "prefixes": ("model.", "")},
    ],
)
def test_canonical_names_that_were_made_of_a_layout_are_not_another_layout(own: Any) -> None:
    mine = Layout("mine", **own)
    state = {"x.0": np.zeros(2), "x.1": np.zeros(2)}
    assert detect_layout(state, layouts=[mine.canonical, mine]).layout is mine
    other = Layout("other", [Row("x.{i}", "y.{i}")], base=mine)
    assert list(to_layout(state, other)) == ["y.0", "y.1"]
