from __future__ import annotations

import pytest

from tests.lisp.forms import evaluated


@pytest.mark.parametrize(
    "form",
    [
        "(eql 1 1)",
        "(eq 'a 'A)",
        "(eql :a :a)",
        "(equal '(1 (2)) (list 1 (list 2)))",
        '(equal "a" "a")',
        "(null nil)",
        "(not (list))",
        "(listp nil)",
        "(consp '(1))",
        "(atom 3)",
        "(symbolp 'a)",
        "(symbolp nil)",
        "(keywordp :a)",
        '(stringp "a")',
        "(functionp #'car)",
    ],
)
def test_what_holds(form: str) -> None:
    assert evaluated(form) is True


@pytest.mark.parametrize(
    "form",
    [
        "(eql 1 1.0)",
        "(eql 1.0 1d0)",
        "(eql '(1) '(1))",
        "(eq 'a :a)",
        "(equal '(1) '(1 2))",
        "(equal '(1) #(1))",
        "(not 0)",
        "(consp nil)",
        "(atom '(1))",
        "(keywordp 'a)",
    ],
)
def test_what_does_not_hold(form: str) -> None:
    assert evaluated(form) is None
