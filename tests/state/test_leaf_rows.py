"""A row that lists a leaf has its shape, dtype and size, and what it is tied to."""

from __future__ import annotations

from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import spec_of
from caten_sd.state.leaf_rows import leaf_row
from caten_sd.state.sheet_groups import SheetGroup

KNOWN = spec_of((2, 3), DTYPES["bfloat16"])


def test_the_bytes_of_a_tied_leaf_count_once() -> None:
    rows = [leaf_row("h.0.w", KNOWN), leaf_row("h.1.w", KNOWN), leaf_row("x", KNOWN, "h.0.w")]
    assert SheetGroup("tensors", rows).lines() == [
        ("h.{0..1}.w x2", "[2, 3] bfloat16; 24 B"),
        ("x", "[2, 3] bfloat16; tied to h.0.w"),
    ]


def test_json_has_them_as_values() -> None:
    known = {"shape": (2, 3), "dtype": "bfloat16", "bytes": 12}
    assert leaf_row("w", KNOWN).to_json() == {"key": "w", **known}
    assert leaf_row("x", KNOWN, "\n").to_json() == {"key": "x", **known, "tied_to": "\n"}
