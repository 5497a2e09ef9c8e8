from __future__ import annotations

import pytest

from caten_sd.lisp.functions.lists import Pair, Vector
from caten_sd.lisp.syntax.datum import KEYWORD, Symbol
from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("'a", Symbol("A", "a")),
        (":a", Symbol("A", "a", KEYWORD)),
        ("'(1 nil t)", [1, None, True]),
        ("'(1 2 . 3)", Pair(1, Pair(2, 3))),
        ("'(1 . (2))", [1, 2]),
        ("#(1 (2))", Vector([1, [2]])),
        ("`(1 #(2))", [1, Vector([2])]),
        ("'(1 . #(2))", Pair(1, Vector([2]))),
        ("`(1 ,(+ 1 1) ,@(list 3 4))", [1, 2, 3, 4]),
        ("`(,@nil)", None),
        ("`(a (,(+ 1 1)))", [Symbol("A", "a"), [2]]),
        ("`,(+ 1 2)", 3),
        ("`x", Symbol("X", "x")),
        ("(funcall #'(lambda (x) x) 3)", 3),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form) == value


def test_a_function_keeps_the_variables_around_it() -> None:
    assert evaluated("(let ((f (let ((n 2)) (lambda (x) (* n x)))) (n 9)) (funcall f n))") == 18


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (",a", "no backquote"),
        ("`(unquote)", "incomplete"),
        ("`((unquote-splicing))", "incomplete"),
        ("(vector-literal)", "incomplete"),
        ("(vector-literal 3)", "3 is not a list"),
        (",@a", "no backquote"),
        ("``a", "use list"),
        ("`(,@3)", "3 is not a list"),
        ("#'no-such-function", "no-such-function"),
        ("#'(let ())", "not a function"),
        ("(lambda)", "(lambda (arguments) form ...)"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)
