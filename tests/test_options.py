"""The options of all public verbs: one name has one default, and one spelling."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import caten_sd
import caten_sd.layout
import caten_sd.testing
from caten_sd.errors import OptionError
from caten_sd.state.options import KINDS

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


ELSEWHERE = {  # what looks at the value of an option, other than the table of kinds
    "dtype": "the policy of a load",
    "include": "the kinds of slots",
    "map_location": "the adapter of a world, as torch.load",
}
SIZES = {"heads", "kv_heads", "chunks"}  # the names of numbers, or numbers
WRONG: dict[str, tuple[Any, ...]] = {  # of a kind that the option does not take, besides those
    "against": ("fc.weight", nn.Linear(1, 1), nn.Sequential(nn.ReLU()), [1]),
    "config": ("config.json", 3, [1]),
    "inputs": ("x",),
    "layout": ([], ["hf-llama"], {}, type),
    "format": (Path("x"), []),
    "layouts": (None, Path("x"), 3),
    "location": ([], None),
    "metadata": ("", [], {1: "a"}),
    "names": ([], {1: 2}, {"a": None}),
    "only": (None, Path("x"), [1]),
    "rename": ([], "", {1: 2}),
    "strict": ("no", None, 1),
    "tolerance": ("1e-3",),
    "world": (["torch"], Path("torch"), ("flax",)),
}


def public_verbs() -> Iterator[Callable[..., Any]]:
    doors = (caten_sd.layout, caten_sd.testing)
    yield from VERBS
    for value in (getattr(door, name) for door in doors for name in door.__all__):
        if isinstance(value, types.FunctionType):
            yield value


def keyword_options() -> list[tuple[Callable[..., Any], str]]:
    return [
        (verb, name)
        for verb in public_verbs()
        if verb.__name__ not in NOT_OPTIONS
        for name, each in inspect.signature(verb).parameters.items()
        if each.kind is each.KEYWORD_ONLY and name not in {*ELSEWHERE, *SIZES}
    ]


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


@pytest.mark.parametrize(("verb", "name"), keyword_options())
def test_a_value_of_another_kind_is_refused_by_the_name_of_the_option(
    verb: Callable[..., Any], name: str
) -> None:
    by_default = () if name in {"config", "inputs", "tolerance"} else (1.5, b"x", object())
    for wrong in (*by_default, *WRONG.get(name, ())):
        with pytest.raises(OptionError) as caught:
            verb(**{name: wrong})
        said = str(caught.value)
        assert said.startswith(f"{verb.__name__}: {name}= takes ")
        assert ("None" if wrong is None else type(wrong).__name__) in said
        assert "0x" not in said  # the same in every process


def test_the_error_says_what_an_option_takes_and_what_it_was_given() -> None:
    with pytest.raises(OptionError, match=r"names= takes .*\{'?.*, not a list of str$"):
        caten_sd.between({}, {}, names=["fc"])  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"n_head= takes a number, not a str \('8'\)"):
        caten_sd.explain({}, {}, n_head="8")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        caten_sd.load({}, None)  # type: ignore[arg-type]


def test_what_takes_a_location_is_checked_by_position() -> None:
    with pytest.raises(OptionError, match="convert: target= takes a path"):
        caten_sd.convert("a.npz", ["b.npz"])  # type: ignore[arg-type]


def test_every_kind_is_of_an_option_or_a_parameter() -> None:
    named = {name for verb in public_verbs() for name in inspect.signature(verb).parameters}
    assert KINDS.keys() - {"class", "layout made"} <= named
