from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.lisp.definitions.names import class_name, key_of, python_name
from caten_sd.lisp.syntax.datum import Symbol
from caten_sd.state.keys import fold


def symbol(text: str) -> Symbol:
    return Symbol(fold(text), text)


@pytest.mark.parametrize(
    ("text", "key", "name"),
    [
        ("ln-1", "ln_1", "ln_1"),
        ("Wq-Proj", "wq_proj", "wq_proj"),
        ("*star*", "*star*", "star"),
        ("a.b", "a.b", "a_b"),
        ("w/x", "w/x", "w_x"),
        ("-lead-", "_lead_", "_lead_"),
        ("lambda", "lambda", "lambda_"),
        ("1+", "1+", "_1_"),
        ("", "", "_"),
    ],
)
def test_keys_and_names(text: str, key: str, name: str) -> None:
    assert key_of(symbol(text)) == key
    assert python_name(symbol(text)) == name


def test_a_name_that_is_taken_gets_another() -> None:
    assert python_name(symbol("to"), {"to", "to_"}) == "to__"


@pytest.mark.parametrize(
    ("text", "name"), [("GPT-2", "GPT_2"), ("MLP", "MLP"), ("class", "class_"), ("a.b", "a_b")]
)
def test_class_names(text: str, name: str) -> None:
    assert class_name(symbol(text)) == name


@given(st.text(max_size=8))
def test_every_name_is_one_of_python(text: str) -> None:
    for name in (python_name(symbol(text)), class_name(symbol(text))):
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
