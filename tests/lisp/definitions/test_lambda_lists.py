from __future__ import annotations

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.lambda_lists import LambdaList, lambda_list
from caten_sd.lisp.syntax.reader import read_data
from tests.lisp.forms import evaluated, refused


def read(text: str, *, specialized: bool = False) -> LambdaList:
    return lambda_list(*read_data(text, "net.lisp"), specialized=specialized)


@pytest.mark.parametrize(
    "text",
    ["()", "(a b)", "(a &optional (b 3) c)", "(a &rest r)", "(&key (k :tanh) (f #'car))"],
)
def test_the_text_of_a_lambda_list_reads_back(text: str) -> None:
    assert str(read(text)) == text
    assert read(str(read(text))) == read(text)


def test_methods_name_classes() -> None:
    found = read("((m Net) (k (eql :tanh)) &rest inputs)", specialized=True)
    assert [each.kind for each in found.arguments] == ["required", "required", "rest"]
    assert str(found.arguments[0].specializer) == "Net"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3", "list of arguments"),
        ("(3)", "3 is not"),
        ("((a 3))", "name of an argument"),
        ("(&key (a 1 2 3))", "(name default)"),
        ("(&key :a)", ":a is not"),
        ("(&foo a)", "&foo"),
        ("(a a)", "twice"),
        ("(:a)", ":a is not"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    with pytest.raises(LispError) as caught:
        read(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "call", "value"),
    [
        ("(a b)", "1 2", [1, 2]),
        ("(a &optional (b (1+ a)) c)", "1", [1, 2, None]),
        ("(a &optional (b 9 given))", "1 nil", [1, None]),
        ("(&rest r)", "", [None]),
        ("(a &rest r)", "1 2 3", [1, [2, 3]]),
        ("(&key (a 1) (b (* 2 a)))", ":a 5", [5, 10]),
        ("(&key ((:x a) 1))", ":x 5", [5]),
        ("(&key a &allow-other-keys)", ":b 1 :a 2", [2]),
        ("(&key a)", ":b 1 :a 2 :allow-other-keys t", [2]),
        ("(&key a)", ":a 1 :a 2", [1]),
        ("(&rest r &key a)", ":a 1", [evaluated("'(:a 1)"), 1]),
        ("(a &aux (b (* 2 a)))", "2", [2, 4]),
    ],
)
def test_arguments_are_bound(arguments: str, call: str, value: list[object]) -> None:
    names = [str(each.symbol) for each in read(arguments).arguments]
    text = f"(defun f {arguments} (list {' '.join(names)}))"
    assert evaluated(f"(f {call})", text) == value


@pytest.mark.parametrize(
    ("arguments", "call", "said"),
    [
        ("(a b)", "1", "b of F is missing"),
        ("(a)", "1 2", "1 argument too many"),
        ("()", "1 2", "2 arguments too many"),
        ("(&key a)", ":b 1", ":b is not a key of F"),
        ("(&key a)", ":a", ":a of F has no value"),
        ("(&key a)", "1 2", "the argument 1 too many"),
    ],
)
def test_wrong_arguments(arguments: str, call: str, said: str) -> None:
    sentence = refused(f"(f {call})", f"(defun f {arguments} 1)")
    assert sentence.startswith("form:1:1: ")
    assert said in sentence
    assert arguments in sentence
