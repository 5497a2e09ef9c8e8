"""A report is a value and prints on one screen: verdict, groups, cause, fix."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from caten_sd.loading.load import plan_load
from caten_sd.loading.report import FAULTS, LoadReport, LoadRow, Outcome
from caten_sd.state.dtype import DTYPES
from caten_sd.state.grouping import MAX_LINES
from caten_sd.state.leaf import spec_of


def row(key: str, outcome: Outcome, shape: tuple[int, ...] = (2,), **more: object) -> LoadRow:
    known = spec_of(shape, DTYPES["float32"])
    return LoadRow(key, outcome, slot=known, leaf=known, source=key, **more)


def report(*rows: LoadRow, **more: object) -> LoadReport:
    return LoadReport("Net", rows, **more)


def test_the_verdict_counts_what_fits_and_each_kind_that_does_not() -> None:
    text = report(
        row("a", Outcome.LOADED), row("b", Outcome.TIED), row("c", Outcome.MISSING),
        LoadRow("d", Outcome.UNEXPECTED, leaf=spec_of((1,), DTYPES["int8"])),
    ).verdict  # fmt: skip
    assert text == (
        "2 of 3 slots of Net fit; 1 in the model, not in the file; 1 in the file, not in the model"
    )
    assert report(row("a", Outcome.LOADED)).verdict == (
        "1 of 1 slot of Net fits, and the file has nothing else"
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_a_report_without_faults_fits(outcome: Outcome) -> None:
    assert report(row("a", outcome)).fits is (outcome not in FAULTS)


def test_rows_of_one_pattern_share_a_line_only_if_their_details_are_equal() -> None:
    rows = [row(f"h.{i}.w", Outcome.MISSING, (i + 1, 3)) for i in range(3)]
    text = str(report(*rows))
    assert "h.0.w: [1, 3] float32" in text
    assert "h.2.w: [3, 3] float32" in text
    alike = str(report(*(row(f"h.{i}.w", Outcome.MISSING) for i in range(3))))
    assert "h.{0..2}.w x3: [2] float32" in alike


def test_without_room_they_share_a_line_that_gives_no_shape() -> None:
    rows = [row(f"h.{i}.w", Outcome.MISSING, (i + 1, 3)) for i in range(40)]
    text = str(report(*rows))
    assert "h.{0..39}.w x40: of 40 shapes" in text
    assert "[1, 3]" not in text


def test_a_long_report_shows_some_of_every_section() -> None:
    rows = [row(f"a{i}.b", Outcome.MISSING) for i in range(50)]
    rows += [
        LoadRow(f"c{i}.d", Outcome.UNEXPECTED, leaf=spec_of((1,), DTYPES["int8"]))
        for i in range(50)
    ]
    rows.append(row("x", Outcome.SHAPE))
    text = str(report(*rows, notes=["a note"], cause="this", fix="that"))
    lines = text.splitlines()
    assert len(lines) <= MAX_LINES
    assert lines[1] == "  a note"
    assert lines[-2:] == ["likely cause: this", "fix: that"]
    for outcome in (Outcome.MISSING, Outcome.UNEXPECTED, Outcome.SHAPE):
        assert f"{outcome.value} (" in text
    assert text.count("to_dict(), or --json, has every row") == 2


def test_a_loaded_row_is_shown_only_with_a_note() -> None:
    text = str(report(row("a", Outcome.LOADED), row("b", Outcome.LOADED, note="odd")))
    assert "  b: odd" in text
    assert "  a" not in text


def test_the_largest_error_of_a_group_is_shown() -> None:
    rows = [row(f"h.{i}.w", Outcome.CAST, error=i / 100) for i in range(3)]
    assert "h.{0..2}.w x3: [2] float32; largest error 0.02" in str(report(*rows))


def test_it_is_plain_values_and_complete() -> None:
    model = nn.Linear(2, 2).bfloat16()
    file = {"weight": torch.ones(2, 2), "x": torch.ones(1)}
    given = plan_load(model, file).apply().to_dict()
    assert json.loads(json.dumps(given)) == given
    counts = {title: len(rows) for title, rows in given["groups"].items() if rows}
    assert counts == {
        Outcome.MISSING.value: 1, Outcome.UNEXPECTED.value: 1, Outcome.CAST.value: 1,
    }  # fmt: skip
    assert (given["fits"], given["sound"], given["model"]) == (False, True, "Linear")
    assert given["groups"]["loaded with a change of dtype"][0] == {
        "key": "weight",
        "file_key": "weight",
        "model": {"shape": [2, 2], "dtype": "bfloat16", "bytes": 8},
        "file": {"shape": [2, 2], "dtype": "float32", "bytes": 16},
        "note": "",
        "largest_error": 0.0,
        "finding": "",
    }
