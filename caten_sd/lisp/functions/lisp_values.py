"""Values that functions of Lisp give: several at once, and as text for a message."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeAlias

from caten_sd.lisp.syntax.datum import Symbol, literal_text

Function: TypeAlias = Callable[..., Any]


class MultipleValues(tuple[Any, ...]):
    """What ``values`` gives; all but the first are dropped where one value is wanted."""

    __slots__ = ()


def first_value(value: Any) -> Any:
    """Return the first of multiple values, or the value itself."""
    if isinstance(value, MultipleValues):
        return value[0] if value else None
    return value


def text_of(value: Any, most: int = 60) -> str:
    """Return a value as text for a message."""
    if value is None or value is True:
        return "nil" if value is None else "t"
    if most < 4:
        return "…"
    if isinstance(value, list):
        text = f"({' '.join(text_of(each, most // 2) for each in value[:4])}"
        text += " ...)" if len(value) > 4 else ")"
    elif isinstance(value, tuple) and len(value) == 2:
        text = f"({text_of(value[0], most // 2)} . {text_of(value[1], most // 2)})"
    elif isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, partial)):
        text = "a function"
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = str(value.dtype).rpartition(".")[2]
        text = f"a {dtype} tensor of shape {tuple(value.shape)}"
    elif isinstance(value, (int, float, Fraction)):
        text = literal_text(value)
    else:
        text = str(value) if isinstance(value, Symbol) else repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
