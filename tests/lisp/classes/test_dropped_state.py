from __future__ import annotations

import warnings

import pytest

from caten_sd.errors import LispWarning, StateDictError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.objects.extract import get_state_dict

PLAIN = "(defclass Plain () ((w :initform (rand '(2)))))"


@pytest.mark.parametrize(
    ("form", "why", "keys"),
    [
        ("(list (rand '(1)) nil)", "nil in it", "s.0"),
        ("(list (rand '(1)) 3)", "other values", "s.0"),
        ("(list (rand '(1)) (Linear 1 1 :bias nil))", "other values", "s.0 s.1.weight"),
        ("(list (list (rand '(1))))", "lists", "s.0.0"),
        ("(vector (rand '(1)))", "vector", "s.0"),
        ("(list (cons 'a (rand '(1))))", "pairs", "s.0.1"),
        ("(make-instance 'Plain)", "plain class", "s.w"),
        ("(list (make-instance 'Plain))", "plain class", "s.0.w"),
    ],
)
def test_what_caten_drops_is_state_and_named(form: str, why: str, keys: str) -> None:
    file = read_lisp(f"{PLAIN} (defmodel (M ()) ((s {form})))")
    with pytest.warns(
        LispWarning, match=rf"slot s .*{why}.*Caten drops.*{keys.split()[0]}"
    ) as said:
        model = file.model("M")()
    assert list(get_state_dict(model)) == keys.split()
    assert len(said) == 1
    assert said[0].filename == __file__


@pytest.mark.parametrize(
    "form",
    [
        "(list (rand '(1)) (rand '(1)))",
        "(list (Linear 1 1) (Sigmoid))",
        "(list 1 nil (list 2))",
        "(vector 1 2)",
        "(cons 1 2)",
        "nil",
        "(lambda (x) x)",
        "#'!relu",
        "(asnode #'!relu)",
    ],
)
def test_what_caten_keeps_or_has_no_state_is_not_warned_about(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_lisp(f"(defmodel (M ()) ((s {form})))").model("M")() is not None


def test_the_key_is_that_of_the_outermost_model() -> None:
    text = "(defmodel (In ()) ((s (vector (rand '(1)))))) (defmodel (M ()) ((h (list (In) (In)))))"
    with pytest.warns(LispWarning) as said:
        read_lisp(text).model("M")()
    assert [str(each.message).split()[2] for each in said] == ["h.0.s", "h.1.s"]


@pytest.mark.parametrize(
    "form",
    [
        "(let ((l (rand '(1)))) (loop repeat 60 do (setf l (list l l))) l)",
        "(let ((l (list 1))) (setf (car l) l) l)",
    ],
)
def test_lists_without_end_are_refused(form: str) -> None:
    with pytest.raises(StateDictError, match=r"slot s .*200,000"):
        read_lisp(f"(defmodel (M ()) ((s {form})))").model("M")()
