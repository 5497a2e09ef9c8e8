"""Forms that depend on nothing are written as their values."""

from __future__ import annotations

import pytest

from caten_sd.lisp.port.ported_module import port


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("(getf '(:a 3 :b (4 5)) :b)", "[4, 5]"),
        ("(position 2 '(1 2 3))", "1"),
        ("(count 1 '(1 2 1))", "2"),
        ("(coerce 3 'double-float)", "3.0"),
        ("(assoc 2 '((1 a) (2 3)))", "[2, 3]"),
        ("(member 9 '(1 2))", "None"),
        ("(mapcan #'list '(1 2))", "[1, 2]"),
    ],
)
def test_the_value_is_written(form: str, written: str) -> None:
    ported = port(f"(defmodel (Net ()) ((x {form})))")
    assert ported.problems == ()
    assert ported.text.splitlines()[-1] == f"        self.x = {written}"


@pytest.mark.parametrize(
    "form",
    [
        "(position n '(1 2 3))",  # an argument
        "(position *k* '(1 2 3))",  # a variable, which may be set
        "(position 1 (range 200))x",  # two forms
        "(getf '(:a b) :a)",  # a symbol
        "(getf '(:a #\\b) :a)",  # a character
        "(mapcan #'list (make-list 65))",  # a long list
        "(position 0 (list (/ 1 0)))",  # an error
    ],
)
def test_what_is_not_such_a_form_is_not_translated(form: str) -> None:
    text = f"(defparameter *k* 2) (defmodel (Net (n)) ((x {form.removesuffix('x')})))"
    assert bool(port(text).problems) is not form.endswith("x")
