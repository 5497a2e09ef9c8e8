"""Functions on the elements of tensors, as operators and methods of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs

from caten_sd.lisp.operators.elementwise import MANY, ONE, TWO
from caten_sd.lisp.port.forms.number_forms import number_type
from caten_sd.lisp.port.forms.operands import (
    Arguments,
    OperatorForm,
    dtype,
    is_scalar,
    operand,
    tensor,
    with_dtype,
)
from caten_sd.lisp.port.python_text.expressions import (
    COMPARISON,
    PRODUCT,
    SIGN,
    SUM,
    Expression,
    called,
    infix,
    method,
    power,
)
from caten_sd.lisp.port.translator import Translator

_SIGNS = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "pow": ("**", SIGN),
}
_TESTS = {
    "eq": ("==", "=="),
    "ne": ("!=", "!="),
    "lt": ("<", ">"),
    "le": ("<=", ">="),
    "gt": (">", "<"),
    "ge": (">=", "<="),
}
_BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_LIMITS = {"maximum": "min", "minimum": "max"}  # of clamp, by a number


def _one(function: str, translator: Translator, arguments: Arguments) -> Expression:
    x = tensor(translator, arguments.positional[0])
    if function == "neg":
        return _elementwise(lambda x: Expression(f"-{x.within(SIGN)}", "Tensor", SIGN, x.loose), x)
    return _elementwise(lambda x: method(x, function), x)


def _two(function: str, translator: Translator, arguments: Arguments) -> Expression:
    a, b = (operand(translator, each) for each in arguments.positional)
    if function in _SIGNS:
        return combined(function, a, b)
    if function in _TESTS:
        return _test(function, a, b)
    if function in _BITS:
        text = f"{a.within(SUM)} {_BITS[function]} {b.within(SUM)}"
        return Expression(text, "Tensor", COMPARISON, a.loose or b.loose, mask=a.mask and b.mask)
    if function in _LIMITS and is_scalar(a) != is_scalar(b):
        x, limit = (b, a) if is_scalar(a) else (a, b)
        return method(x, "clamp", f"{_LIMITS[function]}={limit.text}")
    a, b = (tensor(translator, each) for each in arguments.positional)
    return called(f"{translator.imports.use('torch', '')}.{function}", a, b, type_="Tensor")


def combined(function: str, *operands: Expression) -> Expression:
    """Return an operation with a sign between its operands."""
    return _elementwise(partial(_signed, function), *operands)


def _signed(function: str, *operands: Expression) -> Expression:
    sign, strength = _SIGNS[function]
    scalars = all(map(is_scalar, operands))
    type_ = number_type(*operands) if scalars else "Tensor"
    if function == "div" and scalars:
        type_ = "float"
    loose = any(each.loose for each in operands)
    if sign == "**":
        a, b = operands
        return attrs.evolve(power(a, b, type_), loose=loose)
    found = infix(sign, strength, operands, type_, loose=loose)
    recast = _recast(sign, strength, operands)
    floating = any(each.floating for each in operands)
    return attrs.evolve(found, recast=recast, floating=floating)


def _recast(sign: str, strength: int, operands: tuple[Expression, ...]) -> Expression | None:
    others = [each for each in operands if each.recast is None]
    if sign == "/" or len(others) == len(operands) or any(each.type != "int" for each in others):
        return None
    return infix(sign, strength, [each.recast or each for each in operands], "Tensor")


def _elementwise(operation: Callable[..., Expression], *operands: Expression) -> Expression:
    """Apply an operation; a reduction is repeated to the shape of its operand when it must be.

    Torch itself repeats one that meets a tensor of that shape.
    """
    tensors = [each for each in operands if not is_scalar(each)]
    full = {each.shape_key for each in tensors if each.narrow is None}
    found = operation(
        *(each.narrow if each.narrow and each.shape_key in full else each for each in operands)
    )
    keys = {each.shape_key for each in tensors}
    if len(keys) != 1:
        return found
    narrow = None if full else operation(*(each.narrow or each for each in operands))
    return attrs.evolve(found, like=keys.pop(), narrow=narrow)


def _test(function: str, a: Expression, b: Expression) -> Expression:
    sign, turned = _TESTS[function]
    if is_scalar(a):  # so that a type checker sees a tensor
        a, b, sign = b, a, turned
    strength = COMPARISON + 1
    text = f"{a.within(strength)} {sign} {b.within(strength)}"
    return Expression(text, "Tensor", COMPARISON, a.loose or b.loose, mask=True)


def _many(function: str, translator: Translator, arguments: Arguments) -> Expression:
    first, *others = (operand(translator, each) for each in arguments.positional)
    return combined(function, first, *others) if others else first


def _integer_division(translator: Translator, arguments: Arguments) -> Expression:
    a, b = (operand(translator, each) for each in arguments.positional)
    torch_ = translator.imports.use("torch", "")
    return Expression(f'{torch_}.div({a.text}, {b.text}, rounding_mode="trunc")', "Tensor")


def _clip(translator: Translator, arguments: Arguments) -> Expression:
    x, low, high = (operand(translator, each) for each in arguments.positional)
    if is_scalar(low) and is_scalar(high) and not is_scalar(x):
        return method(x, "clamp", low.text, high.text)
    x, low, high = (tensor(translator, each) for each in arguments.positional)
    return method(method(x, "maximum", low.text), "minimum", high.text)


def _where(translator: Translator, arguments: Arguments) -> Expression:
    test, x, y = (operand(translator, each) for each in arguments.positional)
    shown = test.text if test.mask else f"{test.within(COMPARISON + 1)} != 0"
    torch_ = translator.imports.use("torch", "")
    return Expression(f"{torch_}.where({shown}, {x.text}, {y.text})", "Tensor")


def _cast(translator: Translator, arguments: Arguments) -> Expression:
    x, kind = operand(translator, arguments.positional[0]), arguments.positional[1]
    name = dtype(translator, kind)
    if (known := with_dtype(x, name)) is not None:
        return known
    if is_scalar(x):
        torch_ = translator.imports.use("torch", "")
        return Expression(f"{torch_}.tensor({x.text}, dtype={name})", "Tensor")
    return method(x, "to", name)


def _constant(translator: Translator, arguments: Arguments) -> Expression:
    return operand(translator, arguments.positional[1])


def _same(translator: Translator, arguments: Arguments) -> Expression:
    return operand(translator, arguments.positional[0])


FORMS: Mapping[str, OperatorForm] = {
    **{name: partial(_one, function.__name__) for name, function in ONE.items()},
    **{name: partial(_two, function.__name__) for name, function in TWO.items()},
    **{name: partial(_many, function.__name__) for name, function in MANY.items()},
    "!EXPT": partial(_two, "pow"),
    "!IDIV": _integer_division,
    "!CLIP": _clip,
    "!WHERE": _where,
    "!CAST": _cast,
    "!CONST": _constant,
    "!IDENTITY": _same,
}
