from __future__ import annotations

from typing import Any

import pytest
import torch

from caten_sd.errors import LispError
from caten_sd.lisp.lisp_file import read_lisp

CLASSES = """
(defmodel (Base ()) ((trace-of nil)))
(defclass Middle (Base) ())
(defclass Top (Middle) ())
(defmodel (Other ()) ((inner (Linear 2 2))))
"""


def run(methods: str, form: str, instance: str = "(Top)") -> Any:
    """Evaluate a form in a call of an instance; each method may note a word."""
    text = f"""{CLASSES} (defparameter *notes* nil) (defun note (word) (push word *notes*))
      {methods} (defmodel (Runner (owner)) ((owner owner)))
      (defcall (runner Runner) ()
        (let* ((self (slot-value runner 'owner)) (result {form}))
          (list result (reverse *notes*))))"""
    result, notes = read_lisp(text).build(f"(Runner {instance})")()
    return result, [str(each).lower() for each in notes or []]


def test_the_most_specific_method_runs_and_may_call_the_next() -> None:
    methods = """
      (defmethod name-of ((self Base)) (note 'base) 1)
      (defmethod name-of ((self Top)) (note 'top) (+ 10 (call-next-method)))
      (defmethod name-of ((self Middle)) (note 'middle) (+ 100 (call-next-method self)))"""
    assert run(methods, "(name-of self)") == (111, ["top", "middle", "base"])
    assert run(methods, "(name-of self)", "(Middle)") == (101, ["middle", "base"])


def test_the_order_of_before_after_and_around_is_that_of_clos() -> None:
    methods = """
      (defmethod go ((self Top) &optional x) (note 'top) x)
      (defmethod go :before ((self Base) &optional x) (note 'before-base))
      (defmethod go :before ((self Top) &optional x) (note 'before-top))
      (defmethod go :after ((self Base) &optional x) (note 'after-base))
      (defmethod go :after ((self Top) &optional x) (note 'after-top))
      (defmethod go :around ((self Base) &optional x)
        (note 'around) (if (next-method-p) (+ 1 (call-next-method self 5)) 0))"""
    order = ["around", "before-top", "before-base", "top", "after-base", "after-top"]
    assert run(methods, "(go self 4)") == (6, order)


def test_methods_are_chosen_by_values_and_kinds_too() -> None:
    methods = """
      (defmethod kind ((self Base) (how (eql :tanh)) x) 'tanh)
      (defmethod kind ((self Base) (how symbol) x) 'symbol)
      (defmethod kind (self (how integer) x) 'integer)
      (defmethod kind (self (how number) x) 'number)
      (defmethod kind (self how (x tensor)) 'tensor)
      (defmethod kind (self how (x list)) 'list)
      (defmethod kind ((self Linear) how x) 'linear)"""
    forms = {
        "(kind self :tanh 0)": "tanh",
        "(kind self :other 0)": "symbol",
        "(kind 0 3 0)": "integer",
        "(kind 0 1/2 0)": "number",
        '(kind 0 "a" (iconst 1))': "tensor",
        '(kind 0 "a" nil)': "list",
        '(kind (Linear 1 1) "a" 0)': "linear",
    }
    for form, expected in forms.items():
        assert str(run(methods, form)[0]).lower() == expected


def test_a_later_method_for_the_same_classes_takes_the_place_of_an_earlier_one() -> None:
    methods = "(defmethod f ((self Base)) 1) (defmethod f ((self Base)) 2)"
    assert run(methods, "(f self)")[0] == 2


def test_a_file_may_extend_the_call_of_a_built_in_model() -> None:
    methods = """
      (defmethod call ((self Linear) &rest inputs) (note 'linear) (call-next (first inputs)))
      (defun call-next (x) (!neg x))"""
    result, notes = run(methods, "(forward (Linear 2 2) (fconst 1))")
    assert (result.item(), notes) == (-1, ["linear"])
    from caten_sd import nn

    x = torch.ones(1, 2)
    assert not torch.equal(nn.Linear(2, 2)(x), -x)  # and only within the file


@pytest.mark.parametrize(
    ("methods", "form", "facts"),
    [
        ("(defmethod f ((self Other)) 1)", "(f self)", r"\(f .*no method.*\(Other\)"),
        ("(defmethod f ((self Nothing)) 1)", "(f self)", "class Nothing is not known"),
        ("(defmethod f ((self (of 3))) 1)", "(f self)", r"\(of 3\) is not a class"),
        ("(defmethod f ((self Base)) (call-next-method))", "(f self)", "no further method of f"),
        ("(defmethod f :sometimes ((self Base)) 1)", "(f self)", "sometimes.*:around"),
        ("(defmethod f ((self Base) a b) 1)", "(f self 1)", "no method"),
    ],
)
def test_what_cannot_be_chosen_is_refused(methods: str, form: str, facts: str) -> None:
    with pytest.raises(LispError, match=rf"^text:\d+:\d+: .*{facts}"):
        run(methods, form)
