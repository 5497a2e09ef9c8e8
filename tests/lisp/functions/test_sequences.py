from __future__ import annotations

import pytest

from caten_sd.lisp.functions.lists import Vector
from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(mapcar #'1+ '(1 2))", [2, 3]),
        ("(mapcar (lambda (x y) (+ x y)) '(1 2) '(3 4 5))", [4, 6]),
        ("(mapcar #'floor '(3/2 5/2))", [1, 2]),
        ("(mapcar 'car '((1) (2)))", [1, 2]),
        ("(sort '(2 3 1) '>)", [3, 2, 1]),
        ("(apply 'max '(1 3 2))", 3),
        ("(map 'list 'list '(1 2))", [[1], [2]]),
        ("(map 'list #'- '(1 2))", [-1, -2]),
        ("(map 'vector #'- '(1 2))", Vector([-1, -2])),
        ("(mapcan (lambda (x) (list x x)) '(1 2))", [1, 1, 2, 2]),
        ("(mapc #'1+ '(1 2))", [1, 2]),
        ("(reduce #'+ '(1 2 3))", 6),
        ("(reduce #'- '(1 2 3) :from-end t)", 2),
        ("(reduce #'+ nil :initial-value 7)", 7),
        ("(remove-if #'evenp '(1 2 3))", [1, 3]),
        ("(remove-if-not #'evenp '(1 2 3))", [2]),
        ("(remove 2 '(1 2 3))", [1, 3]),
        ("(sort '(3 1 2) #'<)", [1, 2, 3]),
        ("(sort '((2 a) (1 b)) #'< :key #'car)", evaluated("'((1 b) (2 a))")),
        ("(member 2 '(1 2 3))", [2, 3]),
        ("(member 9 '(1))", None),
        ("(position 2 '(1 2))", 1),
        ("(find 2 '(1 2))", 2),
        ("(count 1 '(1 2 1))", 2),
        ("(second (assoc 'b '((a 1) (b 2))))", 2),
        ("(every #'numberp '(1 2))", True),
        ("(some #'evenp '(1 3))", None),
        ("(concatenate 'list '(1) '(2))", [1, 2]),
        ("(funcall #'+ 1 2)", 3),
        ("(apply #'+ 1 '(2 3))", 6),
        ("(funcall (constantly 3) 1)", 3),
        ("(funcall (complement #'evenp) 1)", True),
        ("(nth-value 1 (values 1 2))", 2),
        ("(multiple-value-list (apply #'values '(1 2)))", [1, 2]),
    ],
)
def test_values(form: str, value: object) -> None:
    assert evaluated(form) == value


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(funcall 3)", "3 is not a function"),
        ("(mapcar 'no-such-function '(1))", "no-such-function"),
        ("(mapcar :car '(1))", "#'name"),
        ("(mapcar #'null '(1) '(2))", "takes other arguments"),
        ("(null 1 2)", "has 2 arguments and takes 1"),
        ("(nth #'car '(1))", "a function is not an integer"),
        ("(mapcar #'car '(1))", "1 is not a list"),
        ("(mapcar #'car)", "no list"),
        ("(apply #'+ 3)", "3 is not a list"),
        ("(apply #'+)", "no list"),
        ("(map 'string #'car '(1))", "'list or 'vector"),
        ("(sort '(1 a) #'<)", "a is not a number"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)
