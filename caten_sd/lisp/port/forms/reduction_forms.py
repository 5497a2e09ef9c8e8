"""Functions that reduce tensors along axes, as methods of torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import attrs

from caten_sd.lisp.port.forms.operands import (
    Arguments,
    OperatorForm,
    axes,
    is_given,
    operand,
    tensor,
)
from caten_sd.lisp.port.python_text.expressions import (
    ATOM,
    PRODUCT,
    SUM,
    Expression,
    infix,
    method,
    number,
)
from caten_sd.lisp.port.translator import Translator


def _reduced(name: str, whole: str, translator: Translator, arguments: Arguments) -> Expression:
    x = _operand(translator, arguments)
    axis = axes(translator, arguments.options.get("axis")) or whole
    return _repeated(translator, arguments, x, method(x, name, axis, "keepdim=True"))


def _repeated(
    translator: Translator, arguments: Arguments, x: Expression, found: Expression
) -> Expression:
    """Repeat a reduction to the shape of x, which ``:keepdims`` asks for."""
    if not is_given(translator, arguments, "keepdims"):
        return found
    like = x.text if x.is_name else x.shape_key
    return attrs.evolve(
        found,
        text=f"{found.operand}.expand_as({like})",
        like=x.shape_key,
        narrow=found,
        strength=ATOM,
    )


def _operand(translator: Translator, arguments: Arguments) -> Expression:
    """Return the operand, under a name if its text would have to be written twice."""
    x = tensor(translator, arguments.positional[0])
    if attrs.evolve(x, text=x.shape_key).is_name or not is_given(translator, arguments, "keepdims"):
        return x
    return _named(translator, x)


def _named(translator: Translator, x: Expression) -> Expression:
    name = translator.fresh("whole")
    translator.suite.assign(name, x.text)
    return Expression(name, "Tensor", loose=x.loose, like=x.shape_key, floating=x.floating)


def _index(translator: Translator, arguments: Arguments) -> Expression:
    x = _operand(translator, arguments)
    if arguments.form.head == "!ARGMIN":
        x = Expression(f"(-{x.operand})", "Tensor", loose=x.loose, like=x.shape_key)
    axis = axes(translator, arguments.options.get("axis")) or "-1"
    return _repeated(translator, arguments, x, method(x, "argmax", axis, "keepdim=True"))


def _variance(translator: Translator, arguments: Arguments) -> Expression:
    x = tensor(translator, arguments.positional[0])
    x = x if x.is_name else _named(translator, x)
    axis = arguments.options.get("axis")
    at = -1 if axis is None else translator.value(axis).number
    if not isinstance(at, int):
        raise translator.untranslatable(arguments.form, "the axis is not one written out")
    datum = arguments.options.get("correction")
    correction = number(1) if datum is None else translator.value(datum, "int")
    far = translator.fresh("far")
    mean = method(x, "mean", str(at), "keepdim=True")
    translator.suite.assign(far, infix("-", SUM, [x, mean], "Tensor").text)
    squares = Expression(f"{far}.square().sum({at}, keepdim=True)", "Tensor", loose=x.loose)
    size = Expression(f"{x.operand}.shape[{at}]", "int")
    if correction.number != 0:
        size = infix("-", SUM, [size, correction], "int")
    found = infix("/", PRODUCT, [squares, size], "Tensor", loose=x.loose)
    if arguments.form.head == "!STD":
        found = method(found, "sqrt")
    return _repeated(translator, arguments, x, found)


def _triangle(name: str, translator: Translator, arguments: Arguments) -> Expression:
    diagonal = arguments.options.get("diagonal")
    given = [] if diagonal is None else [translator.value(diagonal, "int").text]
    return method(operand(translator, arguments.positional[0]), name, *given)


def _loss(power: str, translator: Translator, arguments: Arguments) -> Expression:
    a, b = (tensor(translator, each) for each in arguments.positional)
    losses = method(infix("-", SUM, [a, b], "Tensor", loose=a.loose or b.loose), power)
    datum = arguments.options.get("reduction")
    name = "mean" if datum is None else translator.value(datum).text.strip('"')
    return method(losses, name, "None", "keepdim=True")


FORMS: Mapping[str, OperatorForm] = {
    "!SUM": partial(_reduced, "sum", "None"),
    "!MEAN": partial(_reduced, "mean", "None"),
    "!MAX": partial(_reduced, "amax", "()"),
    "!MIN": partial(_reduced, "amin", "()"),
    "!ARGMAX": _index,
    "!ARGMIN": _index,
    "!VARIANCE": _variance,
    "!STD": _variance,
    "!TRIU": partial(_triangle, "triu"),
    "!TRIL": partial(_triangle, "tril"),
    "!MSE": partial(_loss, "square"),
    "!L1NORM": partial(_loss, "abs"),
}
