"""Tests of caten_sd.lisp.port.forms.loop_headers."""

from __future__ import annotations

import pytest

from caten_sd.lisp.port.forms.loop_headers import LoopHeader
from caten_sd.lisp.port.python_text.suites import Suite

PAIR = LoopHeader("i, x in zip(a, b)", ("i", "x"), (("y", "i * 2"), ("z", "y + 1")))


@pytest.mark.parametrize(
    ("reads", "clause"),
    [
        ("f(i, x)", "for i, x in zip(a, b)"),
        ("f(x)", "for _, x in zip(a, b)"),
        ("f(model.x, xs)", "for _, _ in zip(a, b)"),
        ("f(y)", "for i, _ in zip(a, b) for y in [i * 2]"),
        ("f(x, z)", "for i, x in zip(a, b) for y in [i * 2] for z in [y + 1]"),
    ],
)
def test_a_variable_that_nothing_reads_is_blank(reads: str, clause: str) -> None:
    assert PAIR.clause(reads) == clause


def test_a_statement_computes_first() -> None:
    suite, body = Suite(), Suite()
    body.add("f(z)")
    PAIR.write(suite, body)
    suite.prune()
    assert suite.texts() == [
        "for i, _ in zip(a, b):",
        "    y = i * 2",
        "    z = y + 1",
        "    f(z)",
    ]
