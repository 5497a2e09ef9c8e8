from __future__ import annotations

import pytest

from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(if nil 1)", None),
        ("(if 0 1 2)", 1),
        ("(when t 1 2)", 2),
        ("(unless nil 1)", 1),
        ("(cond ((= 1 2) 1) (nil 3) (t 2))", 2),
        ("(cond (5))", 5),
        ("(case 3 ((1 2) 1) (3 2) (t 3))", 2),
        ("(case 'b (a 1) ((b c) 2))", 2),
        ("(case 9 (t 3))", 3),
        ("(case nil (() 1) (otherwise 2))", 2),
        ("(ecase :tanh (:tanh 1) (:sigmoid 2))", 1),
        ("(and)", True),
        ("(and 1 nil (car 3))", None),
        ("(or nil 3 (car 3))", 3),
        ("(progn 1 2)", 2),
        ("(prog1 1 2)", 1),
        ("(block a (return-from a 3) 4)", 3),
        ("(block nil (return 3))", 3),
        ("(block a (block b (return-from a 1)) 2)", 1),
        ("(the fixnum 3)", 3),
        ("(assert (= 1 1))", None),
        ("((lambda (x) (* 2 x)) 3)", 6),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form) == value


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(if)", "(if test then else)"),
        ("(ecase 3 (1 2))", "3 is none"),
        ("(cond 3)", "clause"),
        ("(cond ())", "empty"),
        ("(return 3)", "no block"),
        ("(return-from a 3)", "called a"),
        ('(assert (= 1 2) () "sizes differ")', "sizes differ"),
        ('(error "no ~a" 3)', "no ~a"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


def test_otherwise_is_the_last_clause() -> None:
    assert "follows the one of t" in refused("(case 1 (t 1) (1 2))")
