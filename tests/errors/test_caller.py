"""A warning names the line of the user, however many functions of ours are between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors.caller import caller_level


def test_a_caller_outside_is_the_line_itself() -> None:
    assert caller_level() == 1


@pytest.mark.parametrize("how", ["load", "load_state_dict", "with_state"])
def test_a_load_warns_at_the_line_of_its_caller(how: str, tmp_path: Path) -> None:
    model, given = {"a": np.zeros(1), "b": np.zeros(1)}, {"a": np.ones(1)}
    sd.write_state_dict(given, tmp_path / "w.npz")
    with pytest.warns(sd.LoadWarning) as warned:
        getattr(sd, how)(model, tmp_path / "w.npz" if how == "load" else given)
    assert {each.filename for each in warned} == {__file__}
