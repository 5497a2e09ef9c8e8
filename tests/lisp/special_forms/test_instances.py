from __future__ import annotations

import pytest

from tests.lisp.forms import evaluated, refused

NET = """(defmodel (Net (n)) ((a.b n :reader net-ab) (c-1 n :accessor net-c) (fc (Linear n 2))))
(defclass Sub (Net) ((d :initform 7 :reader sub-d)))"""


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(slot-value (Net 3) 'a.b)", 3),
        ("(slot-value (Net 3) 'other/package::c-1)", 3),
        ("(net-ab (Net 3))", 3),
        ("(let ((m (Net 3))) (setf (net-c m) 5) (net-c m))", 5),
        ("(let ((m (Net 3))) (setf (slot-value m 'c-1) 5) (incf (net-c m)) (net-c m))", 6),
        ("(with-slots (a.b c-1) (Net 3) (list a.b c-1))", [3, 3]),
        ("(with-slots ((x a.b)) (Net 3) x)", 3),
        ("(let ((m (Net 3))) (with-slots ((x c-1)) m (setf x 9) (incf x)) (net-c m))", 10),
        ("(mapcar #'net-ab (list (Net 1) (Net 2)))", [1, 2]),
        ("(let ((m (make-instance 'Sub :attrs '(:n 3)))) (list (net-ab m) (sub-d m)))", [3, 7]),
        ("(shape (slot-value (Linear 3 2) 'caten/nn::weight))", [2, 3]),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form, NET) == value


def test_an_accessor_reads_the_slot_of_the_model_that_it_is_given() -> None:
    text = """(defmodel (A ()) ((x 1 :accessor val) (y 2)))
    (defmodel (B ()) ((x 3) (y 4 :accessor val))) (defclass C (A) ())"""
    form = "(list (val (A)) (val (B)) (val (make-instance 'C)))"
    assert evaluated(form, text) == [1, 4, 1]
    assert evaluated("(let ((b (B))) (setf (val b) 9) (slot-value b 'y))", text) == 9


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(slot-value (Net 3) 'foo)", "Net has no slot foo; its slots are a_b, c_1, fc"),
        ("(slot-value 3 'foo)", "int has no slot foo"),
        ("(slot-value (Net 3) 3)", "no slot 3"),
        ("(with-slots (foo) (Net 3) 1)", "no slot foo"),
        ("(with-slots ((a b c)) (Net 3) 1)", "(variable slot)"),
        ("(with-slots (a.b))", "(with-slots (slot ...) instance form ...)"),
        ("(setf (net-ab (Net 3)) 1)", "cannot be set"),
        ("(net-ab 3)", "int has no slot"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form, NET)
