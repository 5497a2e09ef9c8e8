"""The arguments of a Lisp model as those of a Python class, and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.lambda_lists import Argument, ArgumentKind, LambdaList
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.functions.lists import as_list
from caten_sd.lisp.syntax.datum import Literal, SourcePlace, Symbol, is_nil
from caten_sd.state.keys import fold

_KINDS: Mapping[ArgumentKind, Any] = {
    "required": inspect.Parameter.POSITIONAL_OR_KEYWORD,
    "optional": inspect.Parameter.POSITIONAL_OR_KEYWORD,
    "rest": inspect.Parameter.VAR_POSITIONAL,
    "key": inspect.Parameter.KEYWORD_ONLY,
}


def signature_of(arguments: LambdaList) -> inspect.Signature:
    """Return the signature of a class with these arguments; a default that is a form is ``...``.

    >>> from caten_sd.lisp.definitions.lambda_lists import lambda_list
    >>> from caten_sd.lisp.syntax.reader import read_data
    >>> print(signature_of(lambda_list(*read_data("(dim n-heads &key (bias t) (size (* 4 dim)))"))))
    (dim, n_heads, *, bias=True, size=Ellipsis)
    """
    return inspect.Signature(
        [
            inspect.Parameter(name, _KINDS[each.kind], default=_default(each))
            for name, each in named_arguments(arguments).items()
        ]
    )


def named_arguments(arguments: LambdaList) -> dict[str, Argument]:
    """Return the arguments that Python can pass, by their names there, in order."""
    found: dict[str, Argument] = {}
    taken = {"self"}
    for each in arguments.of_kind("required", "optional", "rest", "key"):
        name = python_name(each.symbol, taken)
        found[name] = each
        taken.add(name)
    return found


def _default(argument: Argument) -> Any:
    if argument.kind in ("required", "rest"):
        return inspect.Parameter.empty
    default = argument.default
    if default is None or is_nil(default):
        return None
    if isinstance(default, Literal):
        return default.value
    return True if isinstance(default, Symbol) and default.name == "T" else ...


def lisp_arguments(
    arguments: LambdaList,
    args: Sequence[Any],
    options: Mapping[str, Any],
    called: str,
    place: SourcePlace,
) -> list[Any]:
    """Return the arguments of a call from Python as Lisp passes them, keywords before values."""
    named = named_arguments(arguments)
    try:
        bound = signature_of(arguments).bind(*args, **options).arguments
    except TypeError as error:
        raise LispError(
            place, f"{called}: {error}", f"the arguments are {arguments}; correct the call"
        ) from None
    found: list[Any] = []
    for name, argument in named.items():
        if name not in bound:
            break
        if argument.kind in ("required", "optional"):
            found.append(_given(bound[name], argument))
    _refuse_gap(named, bound, called, place)
    for name, argument in named.items():
        if name in bound and argument.kind == "rest":
            found += map(lisp_value, bound[name])
        elif name in bound and argument.kind == "key":
            found += [argument.keyword, _given(bound[name], argument)]
    return found


def _refuse_gap(
    named: Mapping[str, Argument], bound: Mapping[str, Any], called: str, place: SourcePlace
) -> None:
    optional = [name for name, argument in named.items() if argument.kind == "optional"]
    given = [name in bound for name in optional]
    if given != sorted(given, reverse=True):
        missing = optional[given.index(False)]
        raise LispError(
            place, f"{called}: {missing} is missing before an argument that follows it", "pass it"
        )


def _given(value: Any, argument: Argument) -> Any:
    """Return a value for an argument: a text is a keyword where the default is one."""
    default = argument.default
    if isinstance(value, str) and isinstance(default, Symbol) and default.is_keyword:
        return Symbol(fold(value), value, default.package)
    return lisp_value(value)


def lisp_value(value: Any) -> Any:
    """Return a value of Python as Lisp has it: False and an empty list are nil.

    >>> lisp_value(False), lisp_value((3, [])), lisp_value(1e-5)
    (None, [3, None], 1e-05)
    """
    if value is False:
        return None
    if isinstance(value, (list, tuple)):
        return as_list(map(lisp_value, value))
    return value
