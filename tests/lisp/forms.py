"""Evaluate a form as a slot does, or see how it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.source_text import lisp_source
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.program import LispProgram
from caten_sd.lisp.syntax.reader import read_data


def evaluated(form: str, definitions: str = ";") -> Any:
    """Return the value of a form in a file with these definitions."""
    (datum,) = read_data(form, "form")
    return LispProgram(lisp_source(definitions)).evaluator.value(datum, Scope())


def refused(form: str, definitions: str = ";") -> str:
    """Return the sentence with which a form is refused, which begins with its place."""
    with pytest.raises(LispError, match=r"^(form|text):\d+:\d+: .*; ") as caught:
        evaluated(form, definitions)
    assert "\n" not in str(caught.value)
    assert "object at 0x" not in str(caught.value)
    assert "<lambda>" not in str(caught.value)
    return str(caught.value)
