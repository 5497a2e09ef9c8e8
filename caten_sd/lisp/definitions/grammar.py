"""What the special forms have in common: how much of a form must be there."""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import Datum, Form, brief


def required(form: Form, least: int, grammar: str) -> tuple[Datum, ...]:
    """Return what follows the head; LispError if it is less than the form needs."""
    if len(form.rest) < least:
        raise LispError(form.place, f"{brief(form)} is incomplete", f"write {grammar}")
    return form.rest


def undeclared(forms: Sequence[Datum]) -> Sequence[Datum]:
    """Return the forms of a body without its declarations."""
    return [each for each in forms if not (isinstance(each, Form) and each.head == "DECLARE")]
