"""What the functions on tensors have in common: arguments, axes, shapes, dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from caten_sd.lisp.operators.operand import DTYPES
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.port.python_text.expressions import (
    DTYPE,
    Expression,
    called,
    comma,
    number,
    splat,
)
from caten_sd.lisp.port.python_text.python_types import is_list
from caten_sd.lisp.port.translator import Translator
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol

SCALARS = ("bool", "int", "Fraction", "float")


@attrs.frozen
class Arguments:
    """The forms that a call of an operator passes: by position, and by name."""

    form: Form
    positional: Sequence[Datum]
    options: dict[str, Datum]


OperatorForm = Callable[[Translator, Arguments], Expression]


def arguments_of(translator: Translator, operator: Operator, form: Form) -> Arguments:
    """Sort what a form passes as the lambda list of an operator says."""
    required, optional, rest, keys = operator.names
    most = len(form.rest) if rest else len(required) + len(optional)
    pairs = form.rest[most:]
    names = [each.name.lower() if isinstance(each, Symbol) else "" for each in pairs[::2]]
    if len(form.rest) < len(required) or len(pairs) % 2 or not set(names) <= set(keys):
        raise translator.untranslatable(form, f"write ({form.head.lower()} {operator.parameters})")
    options = dict(zip(reversed(names), reversed(pairs[1::2]), strict=True))
    return Arguments(form, form.rest[:most], options)


def operand(translator: Translator, datum: Datum) -> Expression:
    """Return a tensor or a number, which torch takes: a fraction as a float."""
    found = translator.value(datum, "Tensor")
    if is_list(found.type) or found.type in ("str", "None"):
        raise translator.untranslatable(datum, "it is not a tensor or a number")
    if found.type != "Fraction":
        return found
    if found.number is not None:
        return number(float(found.number))
    return called("float", found, type_="float")


def is_scalar(expression: Expression) -> bool:
    """Return whether a value is a number."""
    return expression.type in SCALARS


def tensor(translator: Translator, datum: Datum) -> Expression:
    """Return a tensor; a number is made one."""
    found = operand(translator, datum)
    if not is_scalar(found):
        return found
    return called(f"{translator.imports.use('torch', '')}.tensor", found, type_="Tensor")


def sizes(
    translator: Translator, data: Sequence[Datum], *, whole: bool = False
) -> list[Expression]:
    """Return sizes or axes that are written one by one or as lists, as a whole in one list."""
    exact, translator.exact = translator.exact, False
    found: list[Expression] = []
    want = "list[int]" if whole else "int" if len(data) > 1 else ""
    for each in data:
        value = translator.value(each, want)
        if value.items is not None and value.text.startswith("["):
            found += [
                each if each.is_splat else translator.fitted(each, "int") for each in value.items
            ]
        elif whole:
            found.append(attrs.evolve(value, type="list[int]"))
        elif is_list(value.type):
            found.append(value if len(data) == 1 else splat(value))
        else:
            found.append(translator.fitted(value, "int"))
    translator.exact = exact
    return found


def shape_text(shape: Iterable[Expression]) -> str:
    """Return a shape as one argument."""
    found = list(shape)
    if len(found) == 1 and (is_list(found[0].type) and not found[0].is_splat):
        return found[0].text
    return f"({comma(found)}{',' * (len(found) == 1)})"


def axes(translator: Translator, datum: Datum | None) -> str:
    """Return the axes of a reduction, "" for all of them."""
    if datum is None:
        return ""
    found = translator.value(datum, "int")
    if found.text == "True":
        return ""
    if found.items is not None:
        return f"({comma(found.items)}{',' * (len(found.items) == 1)})"
    return found.text


def is_given(translator: Translator, arguments: Arguments, name: str) -> bool:
    """Return whether an option is there and not nil."""
    datum = arguments.options.get(name)
    if datum is None:
        return False
    found = translator.value(datum)
    if found.text not in ("True", "None"):
        raise translator.untranslatable(arguments.form, f":{name} is not t or nil")
    return found.text == "True"


def dtype(translator: Translator, datum: Datum) -> str:
    """Return a dtype that a keyword names, or that of a tensor."""
    if isinstance(datum, Symbol) and datum.is_keyword and datum.name in DTYPES:
        return f"{translator.imports.use('torch', '')}.{datum.name.lower()}"
    found = translator.value(datum, "dtype")
    if found.type != "dtype":
        raise translator.untranslatable(datum, "it is not known as a dtype")
    return found.text


def maker(
    translator: Translator, name: str, *arguments: str, dtype: str = "", **more: object
) -> Expression:
    """Return a call that makes a tensor where the inputs are."""
    torch = translator.imports.use("torch", "")
    given = [*arguments]
    given += [f"dtype={dtype}"] if dtype else []
    given += translator.where()
    return Expression(f"{torch}.{name}({', '.join(given)})", "Tensor", **more)  # type: ignore[arg-type]


def with_dtype(found: Expression, dtype: str) -> Expression | None:
    """Return a tensor of integers as it would be made with another dtype, if that is known."""
    if found.recast is None:
        return None
    return attrs.evolve(found.recast, text=found.recast.text.replace(DTYPE, dtype))
