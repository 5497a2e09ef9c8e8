"""The form ``st``, by which a forward pass states the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import required
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.forward_passes.input_shapes import bind_inputs, input_shapes
from caten_sd.lisp.syntax.datum import Form, Literal, items_of
from caten_sd.lisp.syntax.reader import read_data

_GRAMMAR = '(st "A[~] B[~] -> A[~]" (a b))'


def _check_shapes(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    """Check the inputs against what is before the arrow, and return the first of them."""
    notation, given = required(form, 2, _GRAMMAR)[:2]
    text = notation.value if isinstance(notation, Literal) else None
    if not isinstance(text, str) or text.count("->") != 1:
        raise LispError(form.place, "the shapes of st are no text with one ->", f"write {_GRAMMAR}")
    values = [evaluator.value(each, scope) for each in items_of(given, "a list of inputs")]
    inputs = [each for value in values for each in (value if isinstance(value, list) else [value])]
    declared = input_shapes(read_data(text.partition("->")[0], str(form.place)))
    bind_inputs(declared, inputs, "st", form.place)
    return inputs[0] if inputs else None


SPECIAL_FORMS: Mapping[str, SpecialForm] = {"ST": _check_shapes}
