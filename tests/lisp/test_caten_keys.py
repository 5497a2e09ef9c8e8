"""Keys, shapes and order of the models that the real Caten was asked for."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest

from caten_sd.errors import LispError, LispWarning
from caten_sd.lisp.definitions.names import key_of
from caten_sd.lisp.lisp_file import LispFile, read_lisp
from caten_sd.lisp.syntax.datum import Form, Literal, Symbol
from caten_sd.lisp.syntax.reader import read_data
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.keys import fold, lisp_style_dict_key

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "caten_keys.json").read_text("utf-8"))
CASES = {case["name"]: case for case in ORACLE["cases"]}

# Leaves of a forward pass, which Caten keeps and nothing here does.
TRACES = re.compile(r"(variables|outputs|lower_outputs|impl_iseq)\.[0-9]+|ret")
# Where this library differs on purpose, with what it does instead.
DIFFERS = {
    "LayerNorm 4": "one size needs no list here",
    "BatchNorm (4)": "it has running statistics here",
    "BatchNorm (4 5)": "it is refused, since Caten's statistics are those of no other library",
    "ConvND fresh": "its weights are there before the first call",
    "ConvND after call": "the call is not repeated here",
    "ConvND groups after call": "the call is not repeated here",
    "Sigmoid after": "the call is not repeated here",
    "Linear after forward": "the call is not repeated here",
    "Linear after call": "the call is not repeated here",
    "alist": "its models are state here",
    "collision": "it is refused",
}


def caten_file() -> LispFile:
    return read_lisp("\n".join(text for text in ORACLE["definitions"] if "Collide" not in text))


def shape_text(shape) -> str:
    return f"({' '.join(map(str, shape))})" if len(shape) else "NIL"


def listing(call: str) -> list[list[str]]:
    state = get_state_dict(caten_file().build(call))
    return [[key, shape_text(leaf.shape)] for key, leaf in state.items()]


@pytest.mark.parametrize("name", sorted(set(CASES) - set(DIFFERS)))
def test_keys_and_shapes_are_catens(name: str) -> None:
    case = CASES[name]
    if "error" in case:
        with pytest.raises(LispError):
            listing(case["call"])
    else:
        assert listing(case["call"]) == case["keys"]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ConvND after call", "(ConvND 3 8 '(5 5))"),
        ("Sigmoid after", "(Sigmoid)"),
        ("Linear after forward", "(Linear 3 2)"),
        ("Linear after call", "(Linear 3 2)"),
    ],
)
def test_keys_after_a_call_are_those_without_the_traces(name: str, call: str) -> None:
    keys = [row for row in CASES[name]["keys"] if not TRACES.fullmatch(row[0])]
    assert listing(call) == keys


def test_what_is_not_as_in_caten() -> None:
    assert listing("(LayerNorm 4)") == listing("(LayerNorm '(4))")
    assert listing("(ConvND 3 8 '(5 5))")[0] == ["weight", "(8 3 5 5)"]
    assert [key for key, _ in listing("(ConvND 4 8 '(3) :groups 2)")] == ["weight", "bias"]
    with pytest.raises(LispError, match=r"BatchNorm of .4 5. .*pass one size"):
        listing("(BatchNorm '(4 5))")


def test_batch_norm_has_statistics_that_caten_lacks_and_says_so() -> None:
    with pytest.warns(LispWarning, match="running_mean.*num_batches_tracked"):
        rows = listing("(BatchNorm '(4))")
    assert rows[:2] == CASES["BatchNorm (4)"]["keys"]


def test_state_that_caten_drops_is_state_here_and_named() -> None:
    with pytest.warns(LispWarning, match=r"slot al .*pairs.*al\.0\.1\.weight"):
        assert [key for key, _ in listing("(Alist 2)")] == ["al.0.1.weight", "al.0.1.bias"]


def test_two_slots_of_one_key_are_refused() -> None:
    text = next(text for text in ORACLE["definitions"] if "Collide" in text)
    with pytest.raises(LispError, match=r"text:1:\d+: .*ln-1 and ln_1.*rename"):
        read_lisp(text)


def as_path_element(datum) -> str:
    if isinstance(datum, Symbol):
        return key_of(datum)
    if isinstance(datum, Form):
        return f"({' '.join(map(as_path_element, datum.items))})"
    return fold(datum.value if isinstance(datum.value, str) else "", str.lower).replace("-", "_")


@pytest.mark.parametrize(
    ("path", "key"),
    [row for row in ORACLE["key_mapper"] if row[0] != "NIL" and not re.search(r"\d|#|\"", row[0])],
)
def test_symbols_give_the_keys_that_caten_prints(path: str, key: str) -> None:
    (datum,) = read_data(path)
    assert isinstance(datum, (Form, Literal, Symbol))
    assert ".".join(map(as_path_element, datum.items)) == key
    if all(isinstance(each, Symbol) for each in datum.items):
        assert lisp_style_dict_key(each.name for each in datum.items) == key


def test_no_other_case_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in set(CASES) - {"alist", "BatchNorm (4)"} - set(DIFFERS):
            if "error" not in CASES[name]:
                caten_file().build(CASES[name]["call"])
