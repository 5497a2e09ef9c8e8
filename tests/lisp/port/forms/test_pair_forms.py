"""Pairs, in slots that are read directly and in the Python that is written."""

from __future__ import annotations

import pytest

from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import both, executed, module_of, shapes

PRINTED = "(defmodel (Net (n)) ((sizes (list n 5 n)) (x {})))"


@pytest.mark.parametrize(
    "form",
    [
        "(cons n nil)",
        "(cons n sizes)",
        "(cons 1 (cons n (list 2 3)))",
        "(list* 1 n sizes)",
        "(cdr sizes)",
        "(cddr sizes)",
        "(cadr sizes)",
        "(nthcdr 1 sizes)",
        "(nthcdr 2 (list 1 2 n))",
        "(car (cons n 2))",
        "(cdr (cons n 2))",
        "(cadr (cons n (cons 2 3)))",
        "(svref (vector n 2) 0)",
        "(list-length sizes)",
        "(nreverse (list n 2))",
        "(mapcar #'car (list (list n 1) (list 2 n)))",
    ],
)
def test_the_same_value_as_directly(form: str) -> None:
    text = PRINTED.format(form)
    direct, ported = read_lisp(text).model("Net")(3), module_of(text).Net(3)
    assert ported.x == direct.x


def test_models_in_lists_with_an_item_more_have_the_same_keys() -> None:
    others = "(loop repeat 2 collect (Linear n 3))"
    both(f"(defmodel (Net (n)) ((x (cons (Linear n 2) {others}))))", "Net", 4)


def test_an_association_list_is_one_of_pairs() -> None:
    text = "(defmodel (Net (n)) ((x (list (cons 'a (Linear n 2)) (cons :b (Linear n 3))))))"
    with pytest.warns(UserWarning, match="Caten"):
        direct = read_lisp(text).model("Net")(3)
    ported = executed(port(text).text).Net(3)
    assert [each[0] for each in ported.x] == ["a", "b"]
    assert shapes(ported) == shapes(direct)
    assert shapes(ported)[0] == ("x.0.1.weight", (2, 3))
