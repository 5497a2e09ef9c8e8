"""Rules that rename whole segments from the start of a key; two keys never become one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.renames import renamed


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"model": ""}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"model.": ""}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"": "net"}, {"model.h.0.w": "net.model.h.0.w", "models.w": "net.models.w"}),
        ({"model.h.{i}": "l.{i}"}, {"model.h.0.w": "l.0.w", "models.w": "models.w"}),
        ({"{any}.h": "h"}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"model.h": "a", "model": "b"}, {"model.h.0.w": "a.0.w", "models.w": "models.w"}),
        ({"models.w": "v"}, {"model.h.0.w": "model.h.0.w", "models.w": "v"}),
    ],
)
def test_rules(rules: dict[str, str], expected: dict[str, str]) -> None:
    if len(rules) > 1:  # the second would be idle: the first that fits holds
        with pytest.raises(LoadError, match="'model' matches no key"):
            renamed(expected, rules)
        return
    assert renamed(expected, rules) == expected


def test_two_keys_that_become_one_are_an_error_that_names_both() -> None:
    # Failure case 5.
    file = {"enc.w": torch.zeros(1), "encoder.w": torch.ones(1)}
    model = {"encoder": {"w": torch.full((1,), 7.0)}}
    with pytest.raises(
        LoadError, match=r"enc\.w and encoder\.w of the file both become encoder\.w"
    ):
        load_state_dict(model, file, rename={"enc.": "encoder."})
    assert model["encoder"]["w"].item() == 7


@pytest.mark.parametrize("rules", [{"absent": "x"}, {"h.{i}": "l.{j}"}, {"h.{i}.{i}": "l.{i}"}])
def test_a_rule_that_is_not_valid_is_an_error(rules: dict[str, str]) -> None:
    with pytest.raises(LoadError, match=r"matches no key|captures a name"):
        renamed(["h.0.0.w"], rules)


def test_the_report_keeps_the_files_own_keys_and_says_what_was_asked() -> None:
    file = {f"old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
    plan = plan_load(nn.Linear(2, 2), file, rename={"old": ""})
    assert plan.fits
    assert [row.source for row in plan.rows] == ["old.weight", "old.bias"]
    assert plan.notes == ["'old' was renamed to '', as asked"]


def test_renames_and_wrappers_together() -> None:
    file = {f"module.old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
    model = nn.ModuleDict({"new": nn.Linear(2, 2)})
    load_state_dict(model, file, strict=True, rename={"module.old": "module.new"})


def test_a_brace_in_a_rule_that_is_no_capture_is_plain_text() -> None:
    assert renamed(["a.w"], {"a": "{.x"}) == {"a.w": "{.x.w"}
    assert renamed(["{0!r}.w"], {"{0!r}": "b"}) == {"{0!r}.w": "b.w"}
