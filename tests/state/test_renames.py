"""Rules that rename whole segments from the start of a key; two keys never become one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import LoadError, StateDictError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.state.renames import Renamer, Rules, renamed


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"model": ""}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"model.": ""}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"": "net"}, {"model.h.0.w": "net.model.h.0.w", "models.w": "net.models.w"}),
        ({"model.h.{i}": "l.{i}"}, {"model.h.0.w": "l.0.w", "models.w": "models.w"}),
        ({"{any}.h": "h"}, {"model.h.0.w": "h.0.w", "models.w": "models.w"}),
        ({"models.w": "v"}, {"model.h.0.w": "model.h.0.w", "models.w": "v"}),
        ({"model.*.w": "m.*.v"}, {"model.h.0.w": "m.h.0.v", "models.w": "models.w"}),
        ({"*.w": "*.v"}, {"model.h.0.w": "model.h.0.v", "models.w": "models.v"}),
        ({"*.{i}": "l.{i}.*"}, {"model.h.0.w": "l.0.model.h.w", "models.w": "models.w"}),
        ({"models.w": "v", "model": "m"}, {"model.h.0.w": "m.h.0.w", "models.w": "v"}),
        ({"*": "net.*"}, {"model.h.0.w": "net.model.h.0.w", "models.w": "net.models.w"}),
        ({"model*": "net*"}, {"model.h.0.w": "net.h.0.w", "models.w": "nets.w"}),
        ({"m*.{any}.0": "*.{any}"}, {"model.h.0.w": "odel.h.w", "models.w": "models.w"}),
        (str.upper, {"model.h.0.w": "MODEL.H.0.W", "models.w": "MODELS.W"}),
    ],
)
def test_rules(rules: Rules | Renamer, expected: dict[str, str]) -> None:
    assert renamed(expected, rules) == expected


def test_the_first_rule_that_matches_holds_unless_another_is_the_whole_key() -> None:
    keys = ["h", "h.0.w", "h.0.b"]
    assert list(renamed(keys, {"h.0": "x", "h": "y"}).values()) == ["y", "x.w", "x.b"]
    assert list(renamed(keys, {"*": "*", "h.0.w": "z"}).values()) == ["h", "z", "h.0.b"]
    with pytest.raises(StateDictError, match=r"'h\.0' matches no key that an earlier rule"):
        renamed(["h.0.w"], {"h": "y", "h.0": "x"})


def test_two_keys_that_become_one_are_an_error_that_names_both() -> None:
    # Failure case 5.
    file = {"enc.w": torch.zeros(1), "encoder.w": torch.ones(1)}
    model = {"encoder": {"w": torch.full((1,), 7.0)}}
    with pytest.raises(
        LoadError, match=r"enc\.w and encoder\.w would both become encoder\.w.*nothing was changed"
    ):
        load_state_dict(model, file, rename={"enc.": "encoder."})
    assert model["encoder"]["w"].item() == 7


@pytest.mark.parametrize(
    "rules",
    [
        {"absent": "x"},
        {"h.{i}": "l.{j}"},
        {"h.{i}.{i}": "l.{i}"},
        {"h": "l.{i}"},
        {"h": "l.*"},
        {"h.*": "l"},
        {"*.*": "*"},
    ],
)
def test_a_rule_that_is_not_valid_is_an_error(rules: dict[str, str]) -> None:
    with pytest.raises(StateDictError, match=r"matches no key|captures a name"):
        renamed(["h.0.0.w"], rules)


def test_a_rule_without_a_key_names_the_keys_near_it() -> None:
    keys = [f"h.{n}.attn.w" for n in range(3)]
    with pytest.raises(StateDictError, match=r"'h\.0\.atn' .*near it is h\.\*\.attn\.w"):
        renamed(keys, {"h.0.atn": "x"})


@pytest.mark.parametrize("name", [None, 3, b"w"])
def test_a_function_gives_text(name: object) -> None:
    with pytest.raises(StateDictError, match="the new name of w is"):
        renamed(["w"], lambda key: name)  # type: ignore[arg-type,return-value]


KEYS = st.lists(st.text("abh01.-_", max_size=6), unique=True, min_size=1, max_size=8)


@given(KEYS, st.randoms(use_true_random=False))
def test_a_bijection_of_whole_keys_is_undone_by_its_inverse(keys: list[str], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(keys, len(keys))
    there = renamed(keys, dict(zip(keys, shuffled, strict=True)))
    assert there == dict(zip(keys, shuffled, strict=True))
    back = renamed(list(there.values()), dict(zip(shuffled, keys, strict=True)))
    assert list(back.values()) == keys


def test_many_stars_take_a_long_key_once() -> None:
    with pytest.raises(StateDictError, match="matches no key"):
        renamed(["a" * 5000], {"*a*a*a*a*a*b": "*a*a*a*a*a*b"})


def test_a_rule_for_each_of_many_keys_is_found_by_the_key() -> None:
    rules = {f"h.{n}.w": f"l.{n}.w" for n in range(20_000)}
    assert list(renamed(rules, rules).values()) == list(rules.values())


def test_the_report_keeps_the_files_own_keys_and_says_what_was_asked() -> None:
    file = {f"old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
    plan = plan_load(nn.Linear(2, 2), file, rename={"old": ""})
    assert plan.fits
    assert [row.source for row in plan.rows] == ["old.weight", "old.bias"]
    assert plan.notes == ["'old' was renamed to '', as asked"]


def test_a_load_that_is_given_a_wrong_rule_says_that_nothing_was_changed() -> None:
    file = {"h.w": torch.zeros(1)}
    with pytest.raises(LoadError, match=r"'g' matches no key .*; nothing was changed"):
        load_state_dict(nn.Linear(1, 1), file, rename={"g": "h"})


def test_renames_and_wrappers_together() -> None:
    file = {f"module.old.{key}": leaf for key, leaf in nn.Linear(2, 2).state_dict().items()}
    model = nn.ModuleDict({"new": nn.Linear(2, 2)})
    load_state_dict(model, file, strict=True, rename={"module.old": "module.new"})


def test_a_brace_in_a_rule_that_is_no_capture_is_plain_text() -> None:
    assert renamed(["a.w"], {"a": "{.x"}) == {"a.w": "{.x.w"}
    assert renamed(["{0!r}.w"], {"{0!r}": "b"}) == {"{0!r}.w": "b.w"}
