from __future__ import annotations

import pytest
import torch

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.objects.extract import get_state_dict


@pytest.mark.parametrize(
    "form",
    [
        "(setf (slot-value m 'k) x)",
        "(push x (slot-value m 'k))",
        "(with-slots (k) m (push x k))",
        "(push x (k-of m))",
    ],
)
def test_a_slot_that_a_call_sets_or_pushes_to_is_not_state(form: str) -> None:
    text = f"(defmodel (N ()) ((k nil :accessor k-of))) (defcall (m N) (X[~]) {form} x)"
    model = read_lisp(text).build("(N)")
    model(torch.ones(2))
    assert model.k is not None
    assert not get_state_dict(model)


@pytest.mark.parametrize(
    "form", ["(push x (slot-value m 'k))", "(setf (slot-value m 'k) (list x))"]
)
def test_the_tensors_in_a_cache_that_is_a_list_keep_no_gradient(form: str) -> None:
    text = f"(defmodel (N ()) ((k nil))) (defcall (m N) (X[~]) {form} x)"
    model = read_lisp(text).build("(N)")
    for _ in range(2):
        model(torch.ones(2, requires_grad=True) * 2).sum().backward()
    assert model.k[0].tolist() == [2, 2]
    assert not any(each.requires_grad for each in model.k)
