import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.mapping.assembly import Concat, Stack
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.mapping.operations import Chain, Offset, Transpose
from caten_sd.mapping.rows import Drop, Row
from caten_sd.state.derived import Derived
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.state_dict import STAMP, StateDict

ENCODER = Layout("mine", [Row("encoder.{part}.w", "enc.{part}.w", Transpose())])


def arrays(**shapes: tuple[int, ...]) -> dict[str, Any]:
    return {
        key.replace("__", "."): np.random.default_rng(n).random(shape, "f4")
        for n, (key, shape) in enumerate(shapes.items())
    }


def test_keys_are_renamed_and_leaves_are_derived_unread() -> None:
    given = arrays(enc__a__w=(2, 3), enc__b__w=(4, 5))
    result = to_layout(given, ENCODER.canonical, from_layout=ENCODER)
    assert list(result) == ["encoder.a.w", "encoder.b.w"]
    assert isinstance(result["encoder.a.w"], Derived)
    assert np.array_equal(result["encoder.a.w"].numpy(), given["enc.a.w"].T)
    assert result.metadata == {STAMP: "mine-canonical"}
    back = to_layout(result, ENCODER)
    assert list(back.items()) == list(given.items()), "the very arrays come back"
    assert list(given) == ["enc.a.w", "enc.b.w"], "the caller's mapping is untouched"


class Unreadable:
    """A source that fails on any access to its data."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a file was used")


def test_a_leaf_of_a_file_stays_unread() -> None:
    leaf = LazyTensor(Unreadable(), 0, DTYPES["bfloat16"], (2, 3))  # type: ignore[arg-type]
    result = to_layout({"enc.a.w": leaf}, ENCODER.canonical, from_layout=ENCODER)
    derived = result["encoder.a.w"]
    assert (derived.shape, derived.dtype.name) == ((3, 2), "bfloat16")
    assert plan_layout(result, ENCODER).findings.square == []
    with pytest.raises(AssertionError, match="of a file was used"):
        derived.numpy()


def test_what_belongs_to_a_state_dict_comes_along() -> None:
    closed = []
    paths = {"plain": ["plain-slot"], "enc.a.w": ["enc", "a", "w"], "enc.7x.w": ["enc", "7x", "w"]}
    layout = Layout("more", [Row("encoder.{part}.w", "enc.{part}.w"), Row("plain")])
    leaves = {"plain": np.zeros(1), "enc.a.w": np.zeros(2)}
    given = StateDict(
        leaves,
        paths=paths,
        metadata={"format": "pt"},
        close=lambda: closed.append(1),
    )
    result = to_layout(given, layout.canonical, from_layout=layout)
    assert result.metadata == {"format": "pt", STAMP: "more-canonical"}
    assert dict(result.paths) == {"plain": ["plain-slot"], "encoder.a.w": ["encoder", "a", "w"]}
    assert len(result.paths) == 2
    assert "enc.a.w" not in result.paths
    result.close()
    assert closed == [1]
    assert given.metadata == {"format": "pt"}


def test_tied_names_stay_one_leaf() -> None:
    leaf = np.zeros((2, 3))
    result = to_layout({"enc.a.w": leaf, "enc.b.w": leaf}, ENCODER.canonical, from_layout=ENCODER)
    assert result["encoder.a.w"] is result["encoder.b.w"]
    assert result.ties == {"encoder.b.w": "encoder.a.w"}


def test_recorded_ties_count_even_where_the_objects_differ() -> None:
    leaves = {"enc.a.w": np.zeros((2, 3)), "enc.b.w": np.zeros((2, 3))}
    given = StateDict(leaves, ties={"enc.b.w": "enc.a.w"})
    result = to_layout(given, ENCODER.canonical, from_layout=ENCODER)
    assert result.ties == {"encoder.b.w": "encoder.a.w"}


def test_case_5_two_sources_for_one_key_are_an_error_naming_both() -> None:
    given = arrays(enc__a__w=(2, 3), encoder__a__w=(2, 3))
    with pytest.raises(LayoutError, match=r"enc.a.w and encoder.a.w would both be encoder.a.w"):
        to_layout(given, ENCODER.canonical, from_layout=ENCODER)


def test_two_prefixes_for_one_tensor_are_an_error_naming_both() -> None:
    layout = Layout("prefixed", [Row("w", operation=Transpose())], prefixes=("x.", ""))
    with pytest.raises(LayoutError, match=r"(x\.w and w|w and x\.w) "):
        to_layout(arrays(w=(2, 2), x__w=(2, 2)), layout.canonical, from_layout=layout)


def test_case_6_a_parameter_no_rule_knows_is_untouched_and_reported() -> None:
    gamma = np.ones(3)
    given = {**arrays(enc__a__w=(2, 3)), "block.gamma": gamma}
    with pytest.warns(LayoutWarning, match=r"1 key has no row: block\.gamma") as caught:
        result = to_layout(given, ENCODER.canonical, from_layout=ENCODER)
    assert result["block.gamma"] is gamma
    warning = caught[0].message
    assert isinstance(warning, LayoutWarning)
    assert warning.findings.untaken == ["block.gamma"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_layout(given, ENCODER.canonical, from_layout=ENCODER, silent=True)
    with pytest.raises(LayoutError, match=r"1 key has no row: block\.gamma"):
        to_layout(given, ENCODER.canonical, from_layout=ENCODER, strict=True)


def test_a_key_is_not_renamed_by_a_part_of_it() -> None:
    given = arrays(enc__a__w__bad=(2, 3), xenc__a__w=(2, 3), enc__a__wx=(2, 3))
    result = to_layout(given, ENCODER.canonical, from_layout=ENCODER, silent=True)
    assert list(result.items()) == list(given.items())


def test_a_row_that_finds_nothing_is_reported() -> None:
    layout = Layout("three", [Row("a", "x"), Row("b", "y", optional=True), Row("c", "z")])
    plan = plan_layout({"x": np.zeros(1)}, layout.canonical, from_layout=layout)
    assert [str(row) for row in plan.findings.idle] == ["c <-> z"]
    with pytest.raises(LayoutError, match="1 row found no key: c <-> z"):
        to_layout({"x": np.zeros(1)}, layout.canonical, from_layout=layout, strict=True)


def test_case_10_a_drop_looks_at_the_shape() -> None:
    layout = Layout(
        "masked",
        [
            Row("blocks.{i}.attn.bias", optional=True),
            Drop("blocks.{i}.attn.bias", "the mask, which is computed", shape=(1, 1, "t", "t")),
        ],
    )
    mask, bias = np.zeros((1, 1, 7, 7)), np.zeros(7)
    given = {"blocks.0.attn.bias": mask, "blocks.1.attn.bias": bias}
    plan = plan_layout(given, layout.canonical, from_layout=layout)
    assert plan.findings.dropped == {"blocks.0.attn.bias": "the mask, which is computed"}
    assert dict(plan.state_dict) == {"blocks.1.attn.bias": bias}
    assert "blocks.0.attn.bias: dropped, the mask, which is computed" in str(plan)


def test_case_15_square_experts_turn_as_declared_and_are_reported() -> None:
    experts = Layout(
        "experts",
        [
            Row(
                ("e.{i}.gate", "e.{i}.up"),
                "gate_up",
                Chain(Concat((1, 1)), Stack("i"), Transpose((0, 2, 1))),
            )
        ],
    )
    gate_up = np.arange(3 * 4 * 4, dtype="f4").reshape(3, 4, 4)
    plan = plan_layout({"gate_up": gate_up}, experts.canonical, from_layout=experts)
    assert list(plan.state_dict) == [f"e.{i}.{part}" for i in range(3) for part in ("gate", "up")]
    assert np.array_equal(plan.state_dict["e.1.up"].numpy(), gate_up[1].T[2:])
    assert len(plan.findings.square) == 6
    assert "e.{0..2}.{gate,up} x6: transposed as the layout says" in str(plan)
    oblong = plan_layout({"gate_up": gate_up[:, :2]}, experts.canonical, from_layout=experts)
    assert oblong.findings.square == []


def test_an_incomplete_group_is_an_error_naming_what_is_missing() -> None:
    layout = Layout("qkv", [Row(("h.{i}.q", "h.{i}.k"), "h.{i}.qk", Concat((1, 1)))])
    given = arrays(h__0__q=(2, 2), h__0__k=(2, 2), h__1__q=(2, 2))
    with pytest.raises(LayoutError, match=r"h\.1\.q: h\.1\.k .* missing"):
        to_layout(given, layout, from_layout=layout.canonical)


@pytest.mark.parametrize("index", ["2", "999999999999999999"])
def test_a_gap_between_indices_is_an_error_naming_the_first(index: str) -> None:
    layout = Layout("stack", [Row("h.{i}", "h", Stack("i"))])
    given = {"h.0": np.zeros(1), f"h.{index}": np.zeros(1)}
    with pytest.raises(LayoutError, match=r"h\.1 .* missing"):
        to_layout(given, layout, from_layout=layout.canonical)


def test_numbers_are_asked_for_and_never_guessed() -> None:
    layout = Layout(
        "rotary", [Row("q", operation=Rotary("n_head"))], aliases={"n_head": ("num_heads",)}
    )
    rows = np.arange(8.0).reshape(8, 1)
    with pytest.raises(LayoutError, match=r"layout rotary, q: n_head is needed .* pass n_head="):
        to_layout({"q": rows}, layout, from_layout=layout.canonical)
    for given in (
        {"n_head": 2},
        {"config": {"num_heads": 2}},
        {"config": SimpleNamespace(n_head=2)},
    ):
        result = to_layout({"q": rows}, layout, from_layout=layout.canonical, **given)
        assert result["q"].numpy().ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    with pytest.raises(
        LayoutError, match=r"layout rotary, row \(q <-> q\), q \[8, 1\]: .* 3 heads"
    ):
        to_layout({"q": rows}, layout, from_layout=layout.canonical, n_head=3)


def test_data_in_the_layout_comes_back_as_it_is_if_that_was_declared() -> None:
    given = StateDict(arrays(enc__a__w=(2, 3)), metadata={STAMP: "mine"})
    assert to_layout(given, ENCODER, from_layout=ENCODER) is given
    declared = to_layout(given.entry, ENCODER, from_layout=ENCODER)
    assert declared.entry == given.entry
    assert declared.metadata == {STAMP: "mine"}


def test_a_layout_that_leaves_a_key_over_is_not_stamped() -> None:
    given = arrays(enc__a__w=(2, 3), other=(1,))
    for layout in (ENCODER, ENCODER.canonical):
        with pytest.raises(LayoutError, match="1 key has no row: other"):
            to_layout(given, layout, from_layout=ENCODER, strict=True)
        stamped = StateDict(given, metadata={STAMP: "mine"})
        kept = to_layout(stamped, layout, from_layout=ENCODER, silent=True)
        assert STAMP not in kept.metadata
        assert "other" in kept


def test_a_layout_is_applied_once() -> None:
    given = arrays(enc__a__w=(2, 3))
    there = to_layout(given, ENCODER.canonical, from_layout=ENCODER)
    with pytest.raises(
        LayoutError, match=r"'mine-canonical' and from_layout= or --from says 'mine'; .* once"
    ):
        to_layout(there, ENCODER.canonical, from_layout=ENCODER)


def test_a_stamp_nobody_knows_is_an_error() -> None:
    given = StateDict({"a": np.zeros(1)}, metadata={STAMP: "hf-gpt3"})
    with pytest.raises(LayoutError, match="no layout is called 'hf-gpt3'; did you mean 'hf-gpt2'"):
        to_layout(given, "caten-gpt2")


def test_layouts_of_two_architectures_do_not_convert() -> None:
    with pytest.raises(
        LayoutError, match=r"mine is a layout of mine and hf-gpt2 one of gpt2; .* one architecture"
    ):
        to_layout(arrays(enc__a__w=(2, 3)), "hf-gpt2", from_layout=ENCODER)


def test_a_misshapen_tensor_is_reported_and_a_transposed_one_refused() -> None:
    base = Layout("base", [Row("q", shape=("3*n", "n")), Row("n", shape=("n",))])
    layout = Layout("turned", [Row("q", operation=Transpose()), Row("n")], base=base)
    norm = np.zeros(4)
    plan = plan_layout({"q": np.zeros((5, 11)), "n": norm}, base, from_layout=layout)
    assert [misfit.key for misfit in plan.findings.misfits] == ["q"]
    assert "q would be (11, 5) as q, which is declared (3*n, n)" in plan.findings.complaint
    with pytest.raises(LayoutError, match=r"q would be \(4, 12\) .* reversed .* from_layout="):
        plan_layout({"q": np.zeros((12, 4)), "n": norm}, base, from_layout=layout)


def test_an_offset_is_reported_to_round() -> None:
    layout = Layout("gemma", [Row("norm.weight", "norm.scale", Offset(-1.0))])
    plan = plan_layout({"norm.weight": np.ones(2, "f4")}, layout, from_layout=layout.canonical)
    assert plan.findings.rounded == ["norm.scale"]
    assert "norm.scale: computed anew by the layout, which may round the last digits" in str(plan)
    back = plan_layout(plan.state_dict, layout.canonical, from_layout=layout)
    assert back.findings.rounded == []
