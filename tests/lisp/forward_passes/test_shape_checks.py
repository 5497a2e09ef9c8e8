from __future__ import annotations

from typing import Any

import pytest
import torch

from caten_sd.errors import LispError
from caten_sd.lisp.lisp_file import read_lisp


def run(form: str, *inputs: Any) -> Any:
    text = f"(defmodel (Net ()) ()) (defmethod call ((self Net) &rest inputs) {form})"
    return read_lisp(text).build("")(*inputs)


def test_the_first_input_is_given_back() -> None:
    a, b = torch.ones(2, 3), torch.ones(2, 3)
    assert run('(st "A[~] B[~] -> A[~]" (inputs))', a, b) is a
    assert run('(st "A[n m] B[n m] -> B[~]" ((second inputs) (first inputs)))', a, b) is b


@pytest.mark.parametrize(
    ("form", "facts"),
    [
        ('(st "A[~] B[~] -> A[~]" (inputs))', r"~ is \(2, 3\) in a\[~\] and \(3,\) in b\[~\]"),
        ('(st "A[n] -> A[n]" ((first inputs)))', r"a\[n\] has the shape \(2, 3\)"),
        ('(st "A[~] -> A[~]" (inputs))', "2 inputs"),
        ('(st "A[~]" (inputs))', "one ->"),
        ("(st 3 (inputs))", "one ->"),
        ('(st "A[~]")', "incomplete"),
    ],
)
def test_shapes_that_do_not_match_are_refused(form: str, facts: str) -> None:
    with pytest.raises(LispError, match=rf"^text:1:\d+: .*{facts}"):
        run(form, torch.ones(2, 3), torch.ones(3))
