"""Keys of one pattern share a line, and many lines are shortened to a screen, each counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.state.sheet_groups import Section, SheetGroup, SheetRow, fitted


def test_a_line_has_what_is_known_of_all_its_keys() -> None:
    rows = [SheetRow(f"h.{i}.w", "[2]", (2,), error=i / 100, size=1_000 * i) for i in range(3)]
    (line,) = SheetGroup("cast", rows).lines()
    assert line == ("h.{0..2}.w x3", "[2]; largest error 0.02; 3.0 kB")


@pytest.mark.parametrize("errors", [(math.nan, 1.0), (1.0, math.nan), (2.0, math.nan, 1.0)])
def test_an_error_that_is_nan_is_the_largest(errors: tuple[float, ...]) -> None:
    rows = [SheetRow(f"h.{i}.w", error=error) for i, error in enumerate(errors)]
    assert SheetGroup("cast", rows).lines()[0][1] == "largest error nan"


def test_details_that_differ_part_keys_unless_there_is_no_room_for_them() -> None:
    group = SheetGroup("missing", [SheetRow(f"h.{i}.w", f"[{i}]", (i,)) for i in range(3)])
    assert group.lines() == [(f"h.{i}.w", f"[{i}]") for i in range(3)]
    assert group.lines(detailed=False) == [("h.{0..2}.w x3", "of 3 shapes")]


def test_a_summary_is_of_all_keys_of_a_pattern_in_the_order_of_the_first() -> None:
    keys = ["wte", "h.1.w", "h.0.w", "b"]
    rows = [SheetRow(key, str(n)) for n, key in enumerate(keys)]
    group = SheetGroup("changed", rows, lambda found: f"of {len(found)}" * (found != ["b"]))
    assert group.lines() == [("wte", "of 1"), ("h.{0..1}.w x2", "of 2"), ("b",)]
    assert group.every_line()[1] == ("h.1.w", "1")


def test_without_room_two_kinds_are_named_and_more_are_counted() -> None:
    rows = [SheetRow(f"h.{i}.w", f"[2] {'q4_k' if i % 2 else 'q6_k'}", (2,)) for i in range(4)]
    group = SheetGroup("tensors", rows)
    assert group.lines(detailed=False) == [("h.{0..3}.w x4", "[2] q6_k or [2] q4_k")]
    rows.append(SheetRow("h.4.w", "[2] q8_0", (2,)))
    assert group.lines(detailed=False) == [("h.{0..4}.w x5", "of 3 kinds")]


def test_a_detail_that_is_no_shape_is_kept_without_room() -> None:
    group = SheetGroup("odd values", [SheetRow("h.0.w", "1 NaN"), SheetRow("h.1.w", "all zero")])
    assert group.lines(detailed=False) == [("h.0.w", "1 NaN"), ("h.1.w", "all zero")]


def test_lines_are_in_the_order_of_their_first_keys() -> None:
    rows = [SheetRow("a", "1"), SheetRow("b", "2"), SheetRow("c", "1")]
    assert [keys for keys, _ in SheetGroup("x", rows).lines()] == ["a", "b", "c"]


def test_a_quiet_row_is_in_the_json_only() -> None:
    group = SheetGroup("loaded", [SheetRow("a", quiet=True), SheetRow("b")])
    assert group.lines() == group.every_line() == [("b",)]
    assert group.section(group.lines()).heading == "loaded (1)"
    assert [row.to_json() for row in group.rows] == [
        {"key": "a", "detail": ""},
        {"key": "b", "detail": ""},
    ]


def test_json_has_the_data_of_a_row_in_place_of_its_text() -> None:
    row = SheetRow("a", "[2] float32", data=lambda: {"shape": (2,)})
    assert row.to_json() == {"key": "a", "shape": (2,)}


def section(name: str, count: int) -> Section:
    return Section(name, [(f"line {at}",) for at in range(count)])


@pytest.mark.parametrize(
    ("counts", "room", "heights"),
    [
        ([3, 3], 20, [4, 4]),
        ([50, 2], 10, [7, 3]),
        ([50, 50, 1], 12, [5, 5, 2]),
        ([9] * 6, 12, [2] * 6),
        ([9] * 6, 7, [1] * 5 + [2]),
        ([9] * 6, 6, [1] * 6),
    ],
)
def test_the_longest_is_shortened_and_a_heading_stays(
    counts: list[int], room: int, heights: list[int]
) -> None:
    shown = fitted([section(f"s{at}", count) for at, count in enumerate(counts)], room)
    assert [each.height for each in shown] == heights


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(2, 19), st.booleans())
def test_no_line_is_lost_uncounted(counts: list[int], room: int, notes: bool) -> None:
    given_sections = [section(f"s{at}", count) for at, count in enumerate(counts)]
    if notes:
        given_sections.insert(0, section("", 7))
    shown = fitted(given_sections, room)
    assert sum(each.height for each in shown) <= room
    if len(shown) < len(given_sections):
        left = len(given_sections) - len(shown) + 1
        assert shown[-1].heading == f"... and {left} more groups"
        shown.pop()
    for before, after in zip(given_sections, shown, strict=False):
        assert after.heading == before.heading
        assert len(after.lines) + after.left == len(before.lines) or not after.texts()[1:]
