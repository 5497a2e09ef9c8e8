"""All operators by name."""

from __future__ import annotations

import difflib

from caten_sd.errors import ModelError
from caten_sd.lisp.operators import creation, elementwise, layers, movement, reduction, views
from caten_sd.lisp.operators.operator import Operator

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for module in (elementwise, movement, views, reduction, creation, layers)
    for operator in module.OPERATORS
}


def find_operator(name: str) -> Operator:
    """Return the operator of a folded name; ModelError, with the nearest names, if none has it.

    >>> find_operator("!SUM").parameters
    'x &key axis keepdims'
    """
    if name in OPERATORS:
        return OPERATORS[name]
    near = difflib.get_close_matches(name, OPERATORS, n=3) or ["!VIEW", "!WHERE"]
    names = ", ".join(each.lower() for each in near)
    raise ModelError(f"Caten has no {name.lower()}; the nearest names are {names}")
