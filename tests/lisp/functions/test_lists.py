from __future__ import annotations

import pytest

from caten_sd.lisp.functions.lists import LONGEST_LIST, Pair, Vector
from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(list)", None),
        ("(list 1 2)", [1, 2]),
        ("(list* 1 2 '(3))", [1, 2, 3]),
        ("(cons 1 nil)", [1]),
        ("(cons 1 '(2))", [1, 2]),
        ("(cons 1 2)", Pair(1, 2)),
        ("(cons 1 '(2 . 3))", Pair(1, Pair(2, 3))),
        ("(car '(1 2))", 1),
        ("(car nil)", None),
        ("(cdr '(1))", None),
        ("(cdr '(1 . 2))", 2),
        ("(cadr '(1 2))", 2),
        ("(cddr '(1 2 3))", [3]),
        ("(caddr '(1 2 3))", 3),
        ("(third '(1 2 3))", 3),
        ("(rest '(1 2))", [2]),
        ("(nth 5 '(1))", None),
        ("(nthcdr 1 '(1 2 3))", [2, 3]),
        ("(elt '(1 2) 1)", 2),
        ("(last '(1 2 3))", [3]),
        ("(last '(1 2 3) 2)", [2, 3]),
        ("(butlast '(1 2 3))", [1, 2]),
        ("(butlast '(1 2 3) 2)", [1]),
        ("(append '(1) nil '(2 3))", [1, 2, 3]),
        ("(length '(1 2))", 2),
        ("(length nil)", 0),
        ('(length "abc")', 3),
        ("(reverse '(1 2))", [2, 1]),
        ("(subseq '(1 2 3 4) 1 3)", [2, 3]),
        ("(make-list 2 :initial-element 0)", [0, 0]),
        ("(make-list 0)", None),
        ("(range 1 4)", [1, 2, 3]),
        ("(flatten '(1 (2 (3)) nil))", [1, 2, 3]),
        ("(getf '(:a 1 :b 2) :b)", 2),
        ("(vector 1 2)", Vector([1, 2])),
        ("(elt #(1 2) 1)", 2),
    ],
)
def test_values(form: str, value: object) -> None:
    found = evaluated(form)
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(car 3)", "3 is not a list"),
        ("(car #(1))", "is not a list"),
        ("(nth -1 '(1))", "negative"),
        ("(elt '(1) 1)", "no item 1"),
        ("(subseq '(1 2) 1 3)", "1 to 3"),
        ("(make-list 3 :element 0)", ":initial-element"),
        ("(cons 1)", "takes 2"),
        ("(make-list 1000000000)", f"{LONGEST_LIST:,}"),
        ("(range 1000000000)", f"{LONGEST_LIST:,}"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(let* ((x (list 1 2)) (y (cons 0 x))) (setf (car x) 9) y)", "copy-list"),
        ("(let* ((x (list 1 2)) (y (cdr x))) (setf (nth 1 x) 9) y)", "copy-list"),
        ("(let* ((x (list 1 2)) (y (append '(0) x))) (setf (cdr x) nil) y)", "copy-list"),
        ("(let* ((x (list 1 2))) (eq (cdr x) (cdr x)))", "equal"),
    ],
)
def test_a_change_that_another_list_would_share_is_refused(form: str, said: str) -> None:
    assert said in refused(form)


def test_items_of_cells_that_no_other_list_has_can_be_set() -> None:
    assert evaluated("(let* ((x (list 1 2)) (y (cons 0 x))) (setf (car y) 9) y)") == [9, 1, 2]
    assert evaluated("(let* ((x (list 1 2)) (y (copy-list x))) (setf (nth 1 x) 9) y)") == [1, 2]
    assert evaluated("(let* ((x (list 1 2)) (y x)) (setf (cdr x) '(7)) y)") == [1, 7]
