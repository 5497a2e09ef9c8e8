"""The options of all public verbs: one name has one default, and one spelling."""

from __future__ import annotations

import inspect
import types

import caten_sd

VERBS = [
    value
    for value in (getattr(caten_sd, name) for name in caten_sd.__all__)
    if isinstance(value, types.FunctionType)
]
NOT_OPTIONS = {"buffer", "slot", "slot_metadata", "transient"}  # they declare a slot

OLD_SPELLINGS = {"keep", "check", "to", "source", "adopt", "except_"}
GO_ON = {  # whatever else they are given, and where it goes
    "convert": "options",  # to the writer of the format
    "write_state_dict": "options",
    "plan_layout": "numbers",  # to the operations that name them
    "to_layout": "numbers",
    "explain": "numbers",
    "diff": "numbers",
}


def options() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for verb in VERBS:
        if verb.__name__ in NOT_OPTIONS:
            continue
        for name, each in inspect.signature(verb).parameters.items():
            if each.kind is each.KEYWORD_ONLY:
                found.setdefault(name, {})[verb.__name__] = each.default
    return found


def test_an_option_of_one_name_has_one_default() -> None:
    wanted = {"layout", "from_layout", "dtype", "root", "strict", "silent", "rename", "format"}
    assert wanted <= options().keys()
    differing = {
        name: defaults
        for name, defaults in options().items()
        if any(each != next(iter(defaults.values())) for each in defaults.values())
    }
    assert differing == {}


def test_no_option_has_an_old_spelling() -> None:
    assert not OLD_SPELLINGS & options().keys()


def test_only_these_verbs_take_options_of_others() -> None:
    found = {
        verb.__name__: name
        for verb in VERBS
        if verb.__name__ not in NOT_OPTIONS
        for name, each in inspect.signature(verb).parameters.items()
        if each.kind is each.VAR_KEYWORD
    }
    assert found == GO_ON
