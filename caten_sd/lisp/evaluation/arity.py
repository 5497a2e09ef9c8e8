"""How many arguments a function of Python takes, for the message of a call that has others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from caten_sd.lisp.functions.lisp_values import Function
from caten_sd.wording import counted

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def arity_problem(function: Function, arguments: Sequence[Any]) -> str:
    """Return how many arguments a function has and takes, or "" if it takes as many as it has.

    >>> arity_problem(lambda value, by=1: value, [1, 2, 3])
    'has 3 arguments and takes 1 to 2'
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        kinds = [each.kind for each in signature.parameters.values()]
        plain = [each for each in signature.parameters.values() if each.kind in _POSITIONAL]
        least = sum(each.default is inspect.Parameter.empty for each in plain)
        if inspect.Parameter.VAR_POSITIONAL in kinds:
            return f"has {len(arguments)} of at least {counted(least, 'argument')}"
        most = f"{least}" if least == len(plain) else f"{least} to {len(plain)}"
        return f"has {counted(len(arguments), 'argument')} and takes {most}"
    return ""
