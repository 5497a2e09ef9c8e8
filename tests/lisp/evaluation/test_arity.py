from __future__ import annotations

from typing import Any

import pytest

from caten_sd.lisp.evaluation.arity import arity_problem


@pytest.mark.parametrize(
    ("function", "count", "problem"),
    [
        (lambda a, b: 0, 1, "has 1 argument and takes 2"),
        (lambda a, b=1: 0, 3, "has 3 arguments and takes 1 to 2"),
        (lambda a, *rest: 0, 0, "has 0 of at least 1 argument"),
        (lambda a, b: 0, 2, ""),
        (max, 0, ""),  # it does not say what it takes
    ],
)
def test_what_a_function_takes(function: Any, count: int, problem: str) -> None:
    assert arity_problem(function, [0] * count) == problem
