from typing import Any

import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping.assembly import Concat, Split, Stack, Unstack
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Identity, Operation, Transpose
from caten_sd.mapping.rows import Drop, Row


def refuse(*rows: Row | Drop, said: str, **options: Any) -> None:
    with pytest.raises(LayoutError, match=said) as raised:
        Layout("mine", rows, **options)
    assert str(raised.value).startswith("layout mine: ")


def test_a_layout_is_frozen_data() -> None:
    layout = Layout("mine", [Row("a.{i}", "b.{i}")])
    with pytest.raises(AttributeError):
        layout.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        layout.counts["i"] = "n_layer"  # type: ignore[index]
    assert isinstance(layout.rows, tuple)


def test_two_rows_for_one_name_are_refused() -> None:
    refuse(Row("a.w", "x"), Row("b.w", "x"), said=r"two rows take one key, x: \(a.w <-> x\) and")
    refuse(Row("a.w", "x"), Row("a.w", "y"), said="two rows take one key, a.w")
    refuse(Row("a.{i}.w"), Row("a.{part}"), Row("{name}.0.w"), said="two rows take one key")
    refuse(Row("a.w"), Drop("a.w", "computed"), said="two rows take one key")


def test_a_drop_with_a_shape_may_share_its_name() -> None:
    Layout(
        "mine", [Row("h.{i}.attn.bias"), Drop("h.{i}.attn.bias", "mask", shape=(1, 1, "t", "t"))]
    )


def test_prefixes_are_held_apart_too() -> None:
    refuse(Row("a.w"), Row("b.w", "x.a.w"), said="two rows take one key", prefixes=("", "x."))
    refuse(Row("a"), said=r"'x' does not end with '\.'", prefixes=("x",))


def test_captures_must_arrive_on_the_other_side() -> None:
    refuse(Row("a.{i}.w", "a.w"), said=r"Identity gives one for each \{i\} and .* a single tensor")
    refuse(Row("a.w", "a.{i}.w"), said=r"gives a single tensor and .* one for each \{i\}")
    refuse(Row("a.{i}", "a.{j}"), said=r"one for each \{i\} and .* one for each \{j\}")
    refuse(Row("a.{part}", "a"), said=r"\{part\} is captured in 'a.\{part\}' only")
    refuse(Row(("a.{i}", "b"), "c", Concat((1, 1))), said="must have the same captures")


def test_parts_must_be_joined() -> None:
    refuse(Row(("q", "k"), "qk"), said="Identity gives 2 tensors and .* a single tensor")
    refuse(Row("qk", ("q", "k")), said="gives a single tensor and .* 2 tensors")
    refuse(Row(("q", "k"), "qk", Concat((1, 1, 1))), said="joins 3 tensors and is given 2")
    refuse(Row("q", "qk", Concat((1, 1))), said="joins 2 tensors and is given 1")
    refuse(Row(("q", "k"), "qk", Split((1, 1))), said="splits 1 tensor and is given 2")
    refuse(Row("a", "b.{e}", Stack("e")), said=r"stacks over \{e\} .* canonical names only")
    refuse(Row("a.{e}", "b.{e}", Unstack("e")), said=r"gives one for each \{e\}")
    refuse(
        Row("a.{e}", "b", Chain(Unstack("e"), Stack("e"))), said=r"unstacks over \{e\} .* already"
    )


def test_parts_may_be_renamed_together() -> None:
    Layout("mine", [Row(("q", "k"), ("x", "y")), Row("h.{e}.w", "w", Stack("e"))])


class OneWay(Operation):
    def inverse(self) -> Operation:
        return Identity()


def test_an_operation_without_an_exact_inverse_is_refused() -> None:
    refuse(Row("a", "b", OneWay()), said="has another inverse")


def test_a_tied_name_is_a_single_one() -> None:
    refuse(Row("h.{i}.w", tied="w"), said="a tied row has one name")
    refuse(Row(("a", "b"), "c", Concat((1, 1)), shape=(1,)), said="one canonical name .* shape=")


def test_rows_are_held_against_the_base() -> None:
    base = Layout("base", [Row("h.{i}.w"), Row("h.{i}.b", optional=True)])
    assert base.is_canonical
    assert base.canonical is base
    Layout("mine", [Row("h.{i}.w", "w.{i}", Transpose())], base=base)
    refuse(Row("h.{i}.w"), Row("h.{i}.v"), base=base, said=r"h.\{i\}.v is not a canonical name")
    refuse(Row("h.{i}.b"), base=base, said=r"no row has the canonical name h.\{i\}.w")


def test_a_layout_without_a_base_has_one_made_of_its_rows() -> None:
    layout = Layout("mine", [Row(("q.{i}", "k.{i}"), "qk.{i}", Concat((1, 1))), Row("w", "v")])
    assert not layout.is_canonical
    assert layout.canonical.name == "mine-canonical"
    assert [row.names for row in layout.canonical.rows] == [("q.{i}",), ("k.{i}",), ("w",)]
    assert layout.canonical.canonical is layout.canonical


def test_an_alternative_name_is_not_canonical_name() -> None:
    base = Layout("base", [Row("norm.weight", also="norm.gamma")])
    assert not base.is_canonical
    assert Layout("mine", [Row("norm.weight", "n.w")], base=base).canonical is base.canonical


@pytest.mark.parametrize(("name", "rows"), [("", [Row("a")]), ("mine", [])])
def test_a_layout_needs_a_name_and_rows(name: str, rows: list[Row]) -> None:
    with pytest.raises(LayoutError, match="needs a name and at least one row"):
        Layout(name, rows)


def test_what_is_wrong_in_a_row_is_found_when_it_is_built() -> None:
    wrong: Any = lambda leaf: leaf  # noqa: E731
    with pytest.raises(LayoutError, match=r"row a <-> a: .* is not an operation"):
        Row("a", operation=wrong)
    with pytest.raises(LayoutError, match=r"row a <-> a: .* 'n-1' is not a size"):
        Row("a", shape=("n-1", "n"))
    with pytest.raises(LayoutError, match=r"row a .*dropped: mask.*: .* 't/2' is not a size"):
        Drop("a", "mask", shape=("t/2",))
