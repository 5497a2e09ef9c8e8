"""Tests of caten_sd.lisp.port.forms.let_forms."""

from __future__ import annotations

import ast

import pytest
import torch

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import module_of

MODEL = "(defun g (a b) {0})\n(defmodel (Net (a b)) ((x (g a b)) (y {0}) (size (+ a b))))"


@pytest.mark.parametrize(
    "form",
    [
        "(multiple-value-bind (q r) (floor b a) (+ (* 10 q) r))",
        "(multiple-value-bind () ())",
        "(mod 1)",
        "(rem 1)",
        "(let ((x a)) (+ x (progn (setf x 10) x)))",
        "(let ((x a)) (* (incf x) (incf x)))",
        "(let ((x a)) (list x (incf x)))",
        "(let ((x a)) (let ((y x) (z (incf x))) (+ (* 10 y) z)))",
        "(mapcar (lambda (i) (lambda () (+ i 1))) (list a b))",
    ],
)
def test_what_python_would_compute_otherwise_is_said(form: str) -> None:
    ported = port(MODEL.format(form))
    assert len(ported.problems) == 3  # the function, what calls it, and the slot
    ast.parse(ported.text)


@pytest.mark.parametrize(
    "form",
    [
        "(values)",
        "(let ((xs (list 1 2))) (setf (nth 0 xs) 5) (+ 1 (nth 0 xs)))",
        "(let ((xs (list 1 2))) (let ((ys xs)) (incf (nth 0 ys) 5) (+ 1 (nth 0 xs))))",
        "(let ((x 3)) (case (incf x) (3 1) (4 2) (t 9)))",
        "(let ((x a)) (- (progn (setf x 2) 100) x))",
    ],
)
def test_the_same_value_as_directly(form: str) -> None:
    text = MODEL.format(form)
    direct, ported = read_lisp(text).model("Net")(3, 14), module_of(text).Net(3, 14)
    assert (ported.x, ported.y) == (direct.x, direct.y)


def test_a_list_whose_item_was_set_is_the_shape_that_it_has_now() -> None:
    text = """(defmodel (Net ()) ())
        (defcall (self Net) (X[~]) (let ((n 2) (shape (list 2 3)))
          (incf n) (setf (nth 0 shape) n) (setf (nth 1 shape) 2) (!reshape x shape)))"""
    assert tuple(module_of(text).Net()(torch.arange(6.0)).shape) == (3, 2)
