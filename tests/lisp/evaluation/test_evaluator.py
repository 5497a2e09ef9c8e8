from __future__ import annotations

import threading

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.evaluation import evaluator
from caten_sd.lisp.evaluation.evaluator import DEEPEST_CALL
from caten_sd.lisp.lisp_file import read_lisp
from tests.lisp.forms import evaluated, refused


def test_functions_and_variables_of_the_file() -> None:
    text = '(defparameter *n* (twice 3)) (defun twice (n) "doc" (declare (fixnum n)) (* 2 n))'
    assert evaluated("(twice *n*)", text) == 12
    assert evaluated("(mapcar #'twice '(1 2))", text) == [2, 4]
    assert evaluated("(early 5)", "(defun early (n) (when (> n 3) (return-from early 0)) 1)") == 0
    assert evaluated("(range 3)", "(defun range (n) n)") == 3  # the file's own, not Caten's
    with pytest.raises(LispError, match="Common Lisp itself"):  # as the lock of SBCL's package
        evaluated("(car 3)", "(defun car (n) n)")


def test_constants() -> None:
    assert evaluated("(list t nil :a)")[:2] == [True, None]
    assert str(evaluated("*default-float*")) == ":float32"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(foo 3)", "function foo is not known"),
        ("(Linaer 3 2)", "did you mean Linear"),
        ("(let ((width 1)) widht)", "did you mean width"),
        ("no-variable", "variable no-variable is not known"),
        ("(1 2)", "1 is not a function"),
        ('("a")', "is not a function"),
        ("(:a 1)", ":a is not a function"),
        ("(list . 3)", "dot"),
        ("(macro 1)", "(defmacro macro) at text:1:1"),
        ("*unset*", "*unset*"),
        ("(!gather 1)", "!gather"),
        ("(labels ((f (n) (f (1+ n)))) (f 1))", f"{DEEPEST_CALL} forms"),
        ("(flet ((f (n) (if (= n 0) 0 (f (1- n))))) (f 2))", "f is not known"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form, "(defmacro macro (x) x) (defvar *unset*)")


def test_a_call_costs_no_more_when_others_came_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluator, "MOST_STEPS", 1_000)
    file = read_lisp("(defmodel (M (n)) ((w (let ((x 0)) (dotimes (i n x) (incf x))))))")
    for _ in range(3):
        assert file.model("M")(300).w == 300


def test_threads_build_at_the_same_time() -> None:
    text = "(defvar *n* 1) (defun n () *n*) (defmodel (M (k)) ((w (let ((*n* k)) (list (n) (n))))))"
    file, found = read_lisp(text), []

    def build(k: int) -> None:
        model = file.model("M")
        found.append(model(k).w == [k, k] and model is file.model("M"))

    threads = [threading.Thread(target=build, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


@pytest.mark.parametrize(
    "form",
    [
        f"(+ {'1 ' * 2_000})",
        f"(let ({'(x 1) ' * 2_000}) 1)",
        f"(case 1 (({'2 ' * 2_000}) 1))",
        f"(length '({'2 ' * 2_000}))",
        f"(multiple-value-bind ({'x ' * 2_000}) 1 1)",
        "(f)",
    ],
)
def test_what_a_form_lists_counts_as_work(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "MOST_STEPS", 2_000)
    wide = " ".join(f"(x{number} 1)" for number in range(2_000))
    definitions = f"(defun f (&aux {wide}) 1)"
    evaluated(form, definitions)
    assert "more than 2,000 steps" in refused(f"(dotimes (i 100) {form})", definitions)
