from __future__ import annotations

import pytest

from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(let ((x 1)) (setf x 2) x)", 2),
        ("(let ((x 1) y) (setf x 2 y (+ x 1)) (list x y))", [2, 3]),
        ("(let ((x 1)) (setq x 2))", 2),
        ("(let ((l (list 1 2))) (setf (nth 1 l) 9 (car l) 8) l)", [8, 9]),
        ("(let ((l (list 1 2 3))) (setf (cdr l) '(5)) l)", [1, 5]),
        ("(let ((l nil)) (push 1 l) (push 2 l) l)", [2, 1]),
        ("(let ((l (list 1 2))) (list (pop l) l))", [1, [2]]),
        ("(let ((x 1)) (incf x) (incf x 3) (decf x) x)", 4),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form) == value


def test_a_global_variable_is_set_for_all() -> None:
    assert evaluated("(progn (incf *x* 4) *x*)", "(defvar *x* 3)") == 7


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(setf 3 4)", "3 cannot be set"),
        ("(setf x)", "without a value"),
        ("(setf nil 3)", "nil is a constant"),
        ("(push 1 t)", "t is a constant"),
        ("(incf pi)", "pi is a constant"),
        ("(let ((nil 3)) nil)", "nil is not the name of a variable"),
        ("(setf no-variable 1)", "no-variable"),
        ("(setf (foo 1) 2)", "(foo 1) cannot be set"),
        ("(setf (nth 3 (list 1)) 2)", "no item 3"),
        ("(setf (car (cons 1 2)) 2)", "not a list"),
        ("(setf (slot-value (Linear 1 1) 'foo) 2)", "its slots are weight, bias"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)
