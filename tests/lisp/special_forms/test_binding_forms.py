from __future__ import annotations

import pytest

from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(let ((a 1)) (let ((a 2) (b a)) (list a b)))", [2, 1]),
        ("(let* ((a 1) (b (+ a 1)) c) (list a b c))", [1, 2, None]),
        ("(let () (declare (ignore x)) 3)", 3),
        ("(flet ((f (x) (* 2 x))) (f 3))", 6),
        ("(flet ((1+ (x) (* 2 x))) (1+ 3))", 6),
        ("(labels ((f (n) (if (= n 0) 1 (* n (f (1- n)))))) (f 5))", 120),
        ("(multiple-value-bind (q r s) (floor 7 2) (list q r s))", [3, 1, None]),
        ("(multiple-value-list 3)", [3]),
        ("(nth-value 1 (floor 7 2))", 1),
        ("(let ((x (values 1 2))) x)", 1),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form) == value


def test_a_global_variable_is_rebound_for_what_is_called() -> None:
    text = "(defparameter *n* 3) (defun n () *n*)"
    assert evaluated("(list (let ((*n* 5)) (n)) (n))", text) == [5, 3]
    assert evaluated("(list (let* ((*n* 5) (m *n*)) (+ m (n))) (n))", text) == [10, 3]
    assert evaluated("(progn (let ((*n* 5)) (setf *n* 6)) (n))", text) == 3
    assert evaluated("(block b (let ((*n* 5)) (return-from b 1)))", text) == 1


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(let)", "((name form))"),
        ("(let ((x 1 2)) x)", "(name form)"),
        ("(let (3) 1)", "3 is not"),
        ("(let ((:a 3)) 1)", ":a is not"),
        ("(flet ((f)) 1)", "(name (arguments))"),
        ("(flet ((f (x) x)) (f))", "x of F is missing"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(let* ((a 1) (f (lambda () a)) (a 2)) (list (funcall f) a))", [1, 2]),
        ("(let* ((a 1) (a (+ a 1)) (b a) (a 5)) (list a b))", [5, 2]),
        ("(let ((a 1)) (list (let* ((a 2) (b a)) b) a))", [2, 1]),
        ("(let* ((f (let ((k 3)) (lambda () k))) (k 4)) (+ k (funcall f)))", 7),
        ("(flet ((f () 1)) (let* ((g #'f) (a 2)) (+ a (funcall g))))", 3),
    ],
)
def test_a_function_keeps_the_variables_that_it_was_made_with(form: str, value: object) -> None:
    assert evaluated(form) == value


def test_a_function_sees_no_variable_that_is_bound_after_it() -> None:
    assert "later" in refused("(let* ((f (lambda () later)) (later 2)) (funcall f))")
