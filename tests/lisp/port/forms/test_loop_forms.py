"""Tests of caten_sd.lisp.port.forms.loop_forms."""

from __future__ import annotations

import pytest

from caten_sd.lisp.port.ported_module import port
from tests.lisp.port.modules import both

LAYER = "(Linear 2 (/ n 2))"  # a quotient is checked, which takes lines of its own


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("(loop for i from 0 below n collect (Linear 2 3))", "for _ in range(n)]"),
        ("(loop for i from 0 below n collect (Linear (1+ i) 3))", "for i in range(n)]"),
        (f"(loop for i from 0 below n collect {LAYER})", "for _ in range(n):"),
        ("(loop for range below n collect (Linear (1+ range) 3))", "for range_2 in range(n)]"),
        ("(loop repeat n collect (Linear 2 3))", "for _ in range(n)]"),
        ("(mapcar (lambda (x y) (Linear y 2)) '(1 2) '(3 4))", "for _, y in zip("),
        ("(loop for i from 1 for x in '(3 4) collect (Linear x 2))", "for _, x in enumerate("),
        ("(loop for i below n append (list (Linear 2 3)))", "for _ in range(n) for each"),
        ("(list (Linear (loop for i below n sum 2) 2))", "for _ in range(n))"),
        ("(list (Linear (let ((s 1)) (dotimes (i n) (setq s (* s 2))) s) 2))", "for _ in range"),
        ("(list (Linear (let ((s 1)) (dotimes (i n) (incf s i)) s) 2))", "for i in range(n):"),
        ("(loop for j below n for y = (* j 2) collect (Linear (1+ y) 2))", "for y in [j * 2]"),
        ("(loop for j below n for y = (1+ j) collect (Linear y (/ n 2)))", "y = j + 1"),
        ("(list (Linear (let ((s 1)) (loop for j below n for y = (* j 2) do (incf s y)) s) 2))",
         "y = j * 2"),
        (f"(loop for j below n when (> j 1) collect {LAYER})", "if j > 1:"),
        (f"(loop for j below n when (or (> j 2) (= j 0)) when (< j n) collect {LAYER})",
         "if (j > 2 or j == 0) and j < n:"),
    ],
)  # fmt: skip
def test_a_loop_is_written(form: str, line: str) -> None:
    text = f"(defmodel (M (n)) ((a {form})))"
    both(text, "M", 4)
    assert line in port(text).text


@pytest.mark.parametrize(
    "form",
    [
        "(loop for j below n for y = (let ((z (* j 2))) z) collect (Linear (1+ y) 2))",
        "(loop for j below n append (let ((z (Linear 2 2))) (list z)))",
        "(loop for j below n when (let ((z (* j 2))) (> z 2)) collect (Linear 2 2))",
        "(list (Linear (if (loop for j below n always (let ((z j)) (> z 2))) 1 2) 2))",
    ],
)
def test_what_is_computed_each_time_around_is_not_written_before_the_loop(form: str) -> None:
    (problem,) = port(f"(defmodel (M (n)) ((a {form})))").problems
    assert problem.startswith("text:1:")
    assert "each time" in problem


def test_a_variable_that_is_set_twice_is_refused() -> None:
    form = "(loop for i below 3 for i = (* n 2) collect (Linear i 2))"
    (problem,) = port(f"(defmodel (M (n)) ((a {form})))").problems
    assert "twice" in problem
