"""What a layout is written with refuses values of other kinds by the name of the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caten_sd.errors import LayoutError
from caten_sd.layout import (
    Concat,
    Drop,
    Layout,
    Pad,
    Rearrange,
    Regroup,
    Rotary,
    Row,
    Scale,
    Stack,
    Transpose,
    bundle,
    extend,
)
from caten_sd.mapping.field_kinds import kind_of

LAYOUT = Layout("mine", [Row("a.w", "x.w")])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Layout(["mine"], [Row("a")]), "Layout: name= takes a text, not a list"),
        (lambda: Layout("mine", ["a"]), "rows= takes a sequence of Row, Drop or Lacks, not"),
        (lambda: Layout("mine", [Row("a")], base="hf-llama"), "base= takes a Layout, or None, not"),
        (
            lambda: Layout("mine", [Row("a")], prefixes="model."),
            "prefixes= takes a sequence of",
        ),
        (lambda: Layout("mine", [Row("a")], counts=["h"]), "counts= takes a mapping of texts to"),
        (
            lambda: Concat(None),
            "Concat: shares= takes a sequence of whole numbers or names",
        ),
        (lambda: Concat((1, 1), "0"), "Concat: axis= takes a whole number, not a str"),
        (lambda: Stack(3), "Stack: over= takes a text, not an int"),
        (lambda: Scale("2"), "Scale: by= takes a number, not a str"),
        (lambda: Rotary(["n_head"]), "Rotary: heads= takes a whole number or the name of one"),
        (lambda: Regroup((1, 1), {}), "Regroup: groups= takes a whole number or the name of one"),
        (lambda: Pad(0, 4, multiple="64"), "Pad: multiple= takes a whole number, not a str"),
        (lambda: Rearrange(b"a b -> b a"), "Rearrange: pattern= takes a text, not a bytes"),
        (lambda: Transpose(1), "Transpose: axes= takes a sequence of whole numbers, or None, not"),
        (lambda: Row("a", shape=3), "shape= takes a tuple of sizes, not 3"),
        (lambda: Drop("a", "why", shape=b"x"), "shape= takes a tuple of sizes, not b'x'"),
    ],
)
def test_a_field_of_another_kind_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(LayoutError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "parts", [[], {"u": LAYOUT}, {"u": ("m.", "hf-llama")}, {1: ("m.", LAYOUT)}]
)
def test_the_parts_of_a_bundle_are_pairs_by_word(parts: Any) -> None:
    with pytest.raises(TypeError, match="bundle: parts= takes a mapping of words to pairs"):
        bundle("file", parts)


@pytest.mark.parametrize("rows", [None, ["a"], 3, b"x"])
def test_rows_that_are_none_are_refused(rows: Any) -> None:
    for make in (lambda: extend(LAYOUT, "n", rows), lambda: bundle("n", {"u": ("", LAYOUT)}, rows)):
        with pytest.raises(TypeError, match="rows= takes several of Row, Drop and Lacks"):
            make()


def test_what_fields_are_annotated_with_is_understood() -> None:
    kind = kind_of("Mapping[str, tuple[str, ...]]")
    assert kind is not None
    assert kind.takes({"n": ("a", "b")})
    assert not kind.takes({"n": "ab"})
    assert kind_of("Names") is None
    assert kind_of("tuple[str, bool]") is None
