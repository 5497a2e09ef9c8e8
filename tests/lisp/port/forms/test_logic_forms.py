"""Tests of caten_sd.lisp.port.forms.logic_forms."""

from __future__ import annotations

import pytest

from caten_sd.lisp.lisp_file import read_lisp
from tests.lisp.port.modules import module_of

MODEL = "(defun g (a b) {0})\n(defmodel (Net (a b)) ((x (g a b)) (y {0}) (size (+ a b))))"


@pytest.mark.parametrize(
    "form",
    [
        "(or a 3)",
        "(or nil a 3)",
        "(or (if (> a 100) a nil) (if (> b 100) b nil) 3)",
        "(or (and (> a 10) (* a 2)) b)",
        "(and a (+ a 1))",
        "(and (> a 1) (> b 1) (* a b))",
        "(and (> a 10) (* a 2))",
        "(* 2 (and a b (+ a 1)))",
        "(if (and (> a 1) (or (> b 100) (= a 3))) 5 6)",
    ],
)
def test_the_same_value_as_directly(form: str) -> None:
    text = MODEL.format(form)
    direct, ported = read_lisp(text).model("Net")(3, 14), module_of(text).Net(3, 14)
    assert (ported.x, ported.y) == (direct.x, direct.y)
