from __future__ import annotations

import time

import pytest

from caten_sd.lisp.evaluation import evaluator
from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(loop repeat 3 collect 1)", [1, 1, 1]),
        ("(loop repeat 0 collect 1)", None),
        ("(loop for i from 1 to 3 collect i)", [1, 2, 3]),
        ("(loop for i below 3 collect i)", [0, 1, 2]),
        ("(loop for i upfrom 2 below 4 collect i)", [2, 3]),
        ("(loop for i from 6 to 0 by 2 collect i)", None),
        ("(loop for i downfrom 3 to 1 collect i)", [3, 2, 1]),
        ("(loop for i from 3 above 1 collect i)", [3, 2]),
        ("(loop for i fixnum from 0 by 2 to 6 sum i)", 12),
        ("(loop for i from 0 to 1 by 1/2 collect i)", evaluated("(list 0 1/2 1)")),
        ("(loop for x in '(1 2 3) by #'cddr collect x)", [1, 3]),
        ("(loop for x on '(1 2) collect x)", [[1, 2], [2]]),
        ("(loop for x across #(1 2) collect x)", [1, 2]),
        ("(loop for x in '(1 2 3) for y in '(4 5) collect (+ x y))", [5, 7]),
        ("(loop for x in '(1 2) for i from 0 for y = (* x i) collect y)", [0, 2]),
        ("(loop for (a b) in '((1 2) (3 4)) collect (+ a b))", [3, 7]),
        ("(loop for (a nil c) in '((1 2 3)) collect (+ a c))", [4]),
        ("(loop for x = 1 then (* 2 x) while (< x 20) collect x)", [1, 2, 4, 8, 16]),
        ("(loop for x = 3 repeat 2 collect x)", [3, 3]),
        ("(loop with a = 3 and b for i below a collect b)", [None, None, None]),
        (
            "(loop for i below 4 if (evenp i) collect i else collect 9 end do (car nil))",
            [0, 9, 2, 9],
        ),
        ("(loop for i below 4 unless (evenp i) collect i and collect 9)", [1, 9, 3, 9]),
        ("(loop for i below 4 if (evenp i) collect i into a finally (return a))", [0, 2]),
        ("(loop for i below 3 append (list i i))", [0, 0, 1, 1, 2, 2]),
        ("(loop for i below 5 maximize i)", 4),
        ("(loop for i below 5 minimizing (- i))", -4),
        ("(loop for i below 5 count (oddp i))", 2),
        ("(loop for i in '(1 2) always (numberp i))", True),
        ("(loop for i in '(1 a) always (numberp i))", None),
        ("(loop for i in '(1 2) never (numberp i))", None),
        ("(loop for i in '(1 2) thereis (and (> i 1) i))", 2),
        ("(loop for i from 0 until (> i 2) collect i)", [0, 1, 2]),
        ("(loop for i in '(1 2) do (return 7))", 7),
        ("(loop for i in '(1 2) return i)", 1),
        ("(loop named a for i below 3 do (return-from a i))", 0),
        ("(loop (return 5))", 5),
        ("(let ((s 0)) (dotimes (i 4 s) (incf s i)))", 6),
        ("(let ((l nil)) (dolist (i '(1 2) l) (push i l)))", [2, 1]),
        ("(dotimes (i 3) (when (= i 1) (return i)))", 1),
        ("(dotimes (i 3 i))", 3),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form, "(defun f ())") == value


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(loop for)", "ends in a clause"),
        ("(loop repeat 3 if t)", "ends in a clause"),
        ("(loop for i bar 3)", "bar"),
        ("(loop for i in '(1) being)", "being is not a clause"),
        ("(loop for 3 in '(1) collect 1)", "3 is not a variable"),
        ("(loop for x across '(1) collect x)", "not a vector"),
        ("(loop for x in 3 collect x)", "3 is not a list"),
        ("(loop for x in #(1) collect x)", "not a list"),
        ("(loop repeat 'a collect 1)", "a is not an integer"),
        ("(loop for i below 4 collect i sum 0)", "another kind"),
        ("(dotimes (i) i)", "(name form)"),
        ("(dotimes (i nil) i)", "nil is not an integer"),
        ("(dolist (i 3) i)", "3 is not a list"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


ENDLESS = [
    "(dotimes (i 1000000000) i)",
    "(dotimes (i 1000000000))",
    "(loop repeat 1000000000 collect (Linear 1 1))",
    "(loop repeat 1000000000)",
    "(loop)",
    "(loop (car nil))",
    "(loop for i from 0)",
    "(loop for i below 1000000000 append (list i))",
    "(loop for l = '(1) then (append l l))",
    "(let ((l nil)) (loop (push 1 l)))",
    "(let ((l nil)) (loop (setf l (make-list 100000))))",
    "(flet ((d () (let ((l 1)) (dotimes (i 60 l) (setf l (list l l)))))) (equal (d) (d)))",
]


@pytest.mark.parametrize("form", ENDLESS)
def test_what_does_not_end_is_refused(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "MOST_STEPS", 20_000)
    assert "more than" in refused(form)


@pytest.mark.parametrize(
    "form", [ENDLESS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in ENDLESS[1:])]
)
def test_what_does_not_end_is_refused_soon(form: str) -> None:
    begin = time.process_time()
    assert "more than" in refused(form)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(loop for i below 3 always t collect i)", "gather into a variable"),
        ("(loop for i below 3 when t while (< i 2))", "when, if or unless"),
        ("(loop for i below 3 and j = 0 then i collect j)", "write for instead of and"),
        ("(loop for i in nil maximize i)", "no number to maximize"),
    ],
)
def test_what_sbcl_refuses_or_leaves_open_is_refused(form: str, said: str) -> None:
    assert said in refused(form)
