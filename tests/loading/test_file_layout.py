"""An owner whose files have other names and tensors than its slots, told by its hooks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from caten_sd import LoadError, load, plan_load, read_state_dict, save
from caten_sd.layout import Concat, Layout, Row, Split
from caten_sd.loading.owners import OwnerHooks, hooks_of

LAYOUT = Layout("halves", [Row("both", ("upper", "lower"), Split((1, 1)))])


@attrs.define
class Halves:
    """One array, which files have as two, and one that they do not have."""

    both: Any
    made: Any


class HalvesFiles:
    def to_read(self, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> Layout | None:
        return None if "both" in leaves and "upper" not in leaves else LAYOUT

    def to_write(self, slots: Mapping[str, Any]) -> Layout | None:
        return LAYOUT

    def unsaved(self, slots: Mapping[str, Any]) -> Collection[str]:
        return {"made"}


@hooks_of.register(Halves)
def halves_hooks(call_next_method: Callable[..., OwnerHooks], owner: Halves, /) -> OwnerHooks:
    hooks = call_next_method(owner)
    hooks.files = HalvesFiles()
    return hooks


def halves(value: float) -> Halves:
    return Halves(np.full(4, float(value)), np.full(1, float(value)))


FILE = {"upper": np.zeros(2), "lower": np.ones(2)}


def test_the_row_of_a_converted_slot_names_a_key_of_the_file() -> None:
    plan = plan_load(halves(5), FILE)
    assert {row.key: (row.outcome.name, row.source) for row in plan.rows} == {
        "both": ("LOADED", "upper"),
        "made": ("KEPT", None),
    }
    assert plan.fits
    assert plan.verdict.startswith("1 of 1 slot of Halves")
    assert "1 slot is converted from the layout halves" in str(plan)


def test_a_file_is_read_and_written_in_the_layout(tmp_path: Path) -> None:
    model = halves(5)
    load(model, _saved(halves(7), tmp_path), strict=True)
    assert model.both.tolist() == [7] * 4
    assert model.made.tolist() == [5]


def _saved(model: Halves, folder: Path) -> Path:
    save(model, folder / "w.safetensors")
    with read_state_dict(folder / "w.safetensors") as written:
        assert set(written) == {"upper", "lower"}
        assert "caten_sd.layout" not in written.metadata
    return folder / "w.safetensors"


def test_the_own_names_load_as_they_are() -> None:
    plan = plan_load(halves(5), {"both": np.ones(4), "made": np.ones(1)})
    assert {row.outcome.name for row in plan.rows} == {"LOADED"}
    assert "layout" not in str(plan)


def test_two_sources_of_one_slot_are_named_and_change_nothing() -> None:
    model = halves(5)
    with pytest.raises(LoadError, match=r"both.*upper|upper.*both") as caught:
        load_both(model)
    assert "nothing was changed" in str(caught.value)
    assert model.both.tolist() == [5] * 4


def load_both(model: Halves) -> None:
    plan_load(model, {**FILE, "both": np.ones(4)}).apply()


def test_a_conversion_that_the_shapes_do_not_allow_changes_nothing() -> None:
    model = halves(5)
    with pytest.raises(LoadError, match="nothing was changed"):
        plan_load(model, {"upper": np.zeros(3), "lower": np.ones(2)}).apply()
    assert model.both.tolist() == [5] * 4


def test_the_operation_is_the_inverse_of_the_one_that_writes() -> None:
    assert LAYOUT.reading.rules[0].operation == Concat((1, 1))
