"""Tensors of which one is longer: rows cut off, and a vocabulary that is padded."""

import numpy as np
import pytest

from caten_sd import explain
from caten_sd.layout import Pad, Trim
from caten_sd.proof import axis_ends

RANDOM = np.random.default_rng(0)
POSITIONS = RANDOM.normal(size=(12, 6)).astype("f4")


def test_rows_that_are_cut_off_are_found_and_said() -> None:
    found = explain({"positions": POSITIONS}, {"position_embd": POSITIONS[2:]})
    assert repr(found.rows[0].operation) == repr(Trim(0, count=2, at="start"))
    assert not found.wrong
    assert not found.is_whole
    assert found.undecided[0][:2] == ("A", "positions")
    assert "2 of 12" in found.undecided[0].reason
    assert "start of axis 0" in found.undecided[0].reason


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("at", ["start", "end"])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_a_padding_of_one_value_is_found_both_ways(axis: int, at: str, value: float) -> None:
    width = [(0, 0), (0, 0)]
    width[axis] = (4, 0) if at == "start" else (0, 4)
    padded = np.pad(POSITIONS, width, constant_values=value)
    there = explain({"w": POSITIONS}, {"x": padded})
    back = explain({"w": padded}, {"x": POSITIONS})
    assert there.is_whole
    assert back.is_whole
    assert repr(there.rows[0].operation) == repr(Pad(axis, count=4, at=at, value=value))
    assert repr(back.rows[0].operation) == repr(Trim(axis, count=4, at=at, value=value))


def test_both_lengths_have_names_where_a_configuration_has_them() -> None:
    padded = np.pad(POSITIONS, [(0, 4), (0, 0)])
    found = explain({"w": POSITIONS}, {"x": padded}, n_vocab=12, padded_vocab=16)
    assert repr(found.rows[0].operation) == repr(Pad(0, "n_vocab", to="padded_vocab"))


def test_other_values_are_not_an_end() -> None:
    longer = np.concatenate([POSITIONS, POSITIONS[:2] + 1])
    assert not explain({"w": POSITIONS}, {"x": longer}).rows
    assert not explain({"w": POSITIONS}, {"x": POSITIONS[1:-1]}).rows


def test_many_tensors_of_one_shape_are_not_looked_at_in_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    monkeypatch.setattr(axis_ends, "longer_axis", lambda *shapes: calls.append(shapes))
    a = {f"h.{n}": row for n, row in enumerate(RANDOM.normal(size=(1000, 9)).astype("f4"))}
    b = {f"l.{n}": row for n, row in enumerate(RANDOM.normal(size=(1000, 9)).astype("f4"))}
    assert not explain(a, b).rows
    assert not calls
    assert not explain(a, {key: row[:8] for key, row in b.items()}).rows
    assert len(calls) == 10_000
