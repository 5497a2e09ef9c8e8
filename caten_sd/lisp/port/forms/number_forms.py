"""Arithmetic of sizes and other numbers: exact where Lisp is exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from caten_sd.lisp.functions.lisp_values import first_value
from caten_sd.lisp.port.facts import NUMBER
from caten_sd.lisp.port.python_text.expressions import (
    COMPARISON,
    PRODUCT,
    SIGN,
    SUM,
    Expression,
    called,
    infix,
    number,
    power,
    splat,
    truth,
)
from caten_sd.lisp.port.python_text.python_types import is_list, joined
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Form
from caten_sd.lisp.vocabulary import FUNCTIONS

_SIGNS = {"+": SUM, "-": SUM, "*": PRODUCT}
_EXACT = ("bool", "int", "Fraction")


def number_type(*operands: Expression) -> str:
    """Return the type of what is computed from numbers; one that is not known is an int."""
    found = ""
    for each in operands:
        found = joined(found, each.type or "int")
    return found


def folded(name: str, operands: list[Expression]) -> Expression | None:
    """Return the number that an operation of numbers gives, or None if one is not known."""
    if not operands or any(each.number is None for each in operands):
        return None
    result: Any = first_value(FUNCTIONS[name](*(each.number for each in operands)))
    return number(result)


def _sum(name: str, translator: Translator, form: Form, want: str) -> Expression:
    operands = _numbers(translator, form, want)
    known = folded(name, operands)
    if known is not None:
        return known
    if len(operands) == 1:
        (only,) = operands
        if name == "-":
            return Expression(f"-{only.within(SIGN)}", only.type, SIGN)
        return only
    return infix(name, _SIGNS[name], operands, number_type(*operands))


def _numbers(translator: Translator, form: Form, want: str = "") -> list[Expression]:
    wanted = "float" if want == "float" else NUMBER
    if any(_is_fractional(translator, each) for each in form.rest):
        wanted = ""
    found = translator.items(form.rest)
    for each in found:
        translator.facts.need(each.fact, wanted or "float")
    if not found:
        raise translator.untranslatable(form)
    return found


def _is_fractional(translator: Translator, datum: Any) -> bool:
    value = getattr(datum, "value", None)
    return isinstance(value, (float, Fraction)) and not isinstance(value, int)


def _divide(translator: Translator, form: Form, want: str) -> Expression:
    operands = _numbers(translator, form, "int" if want == "int" else "")
    if (known := folded("/", operands)) is not None:
        return known
    if len(operands) == 1:
        operands = [number(1), *operands]
    if any(each.type == "float" for each in operands) or want == "float":
        return infix("/", PRODUCT, operands, "float")
    if len(operands) == 2 and all(each.type in ("int", "") for each in operands):
        return _quotient(translator, operands[0], operands[1], want)
    use = translator.imports.use("fractions", "Fraction")
    first = operands[0] if _is_ratio(operands[0]) else called(use, operands[0])
    return infix("/", PRODUCT, [first, *operands[1:]], "Fraction")


def _is_ratio(expression: Expression) -> bool:
    """Return whether a value is a Fraction whatever happens; one of that type may be an int too."""
    return expression.text.startswith("Fraction(") and expression.strength >= PRODUCT


def _quotient(translator: Translator, a: Expression, b: Expression, want: str) -> Expression:
    """Return a quotient of integers; one that must be whole is checked before it is used."""
    if want != "int":
        use = translator.imports.use("fractions", "Fraction")
        return called(use, a, b, type_="Fraction")
    if translator.exact:
        error = translator.imports.use("caten_sd", "ModelError")
        check = Suite()
        check.add(f'raise {error}(f"{_shown(a)} is not a multiple of {_shown(b)}")')
        translator.suite.block(f"if {a.within(PRODUCT)} % {b.within(SIGN)}:", check)
    return infix("//", PRODUCT, [a, b], "int")


def _shown(expression: Expression) -> str:
    """Return a value as an f-string shows it."""
    return expression.text if expression.number is not None else f"{{{expression.text}}}"


def _rounded(name: str, translator: Translator, form: Form, want: str) -> Expression:
    """Return a rounded number; of a quotient both sides are kept, so that it is exact."""
    inner = form.rest[0]
    halves = isinstance(inner, Form) and inner.head == "/" and len(inner.rest) == 2
    data = inner.rest if isinstance(inner, Form) and halves and len(form.rest) == 1 else form.rest
    operands = translator.items(data)
    for each in operands:
        translator.facts.need(each.fact, NUMBER)
    if (known := folded(name, operands)) is not None:
        return known
    if len(operands) == 1 and operands[0].type in ("int", ""):
        return operands[0]
    return _ROUNDINGS[name](translator, *operands)


def _floor(translator: Translator, a: Expression, *b: Expression) -> Expression:
    if b:
        return _as_int(infix("//", PRODUCT, [a, *b], "int"), a, *b)
    return called(f"{translator.imports.use('math', '')}.floor", a, type_="int")


def _as_int(quotient: Expression, *operands: Expression) -> Expression:
    """Return a whole quotient as an int, which Python leaves a float between floats."""
    if any(each.type == "float" for each in operands):
        return called("int", quotient, type_="int")
    return quotient


def _ceiling(translator: Translator, a: Expression, *b: Expression) -> Expression:
    if b:
        quotient = Expression(f"-(-{a.within(SIGN)} // {b[0].within(SIGN)})", "int", SIGN)
        return _as_int(quotient, a, *b)
    return called(f"{translator.imports.use('math', '')}.ceil", a, type_="int")


def _round(translator: Translator, a: Expression, *b: Expression) -> Expression:
    return called("round", infix("/", PRODUCT, [a, *b], "float"), type_="int")


def _truncate(translator: Translator, a: Expression, *b: Expression) -> Expression:
    return called("int", infix("/", PRODUCT, [a, *b], "float"), type_="int")


_ROUNDINGS = {"FLOOR": _floor, "CEILING": _ceiling, "ROUND": _round, "TRUNCATE": _truncate}


def _extreme(name: str, translator: Translator, form: Form, want: str) -> Expression:
    operands = _numbers(translator, form, want)
    known = folded(name.upper(), operands)
    if known is not None or len(operands) == 1:
        return known or operands[0]
    return called(name, *operands, type_=number_type(*operands))


def _absolute(translator: Translator, form: Form, want: str) -> Expression:
    (only,) = _numbers(translator, form, want)
    return called("abs", only, type_=only.type or "int")


def _modulo(translator: Translator, form: Form, want: str) -> Expression:
    a, b = _numbers(translator, form, want)
    return folded("MOD", [a, b]) or infix("%", PRODUCT, [a, b], number_type(a, b))


def _remainder(translator: Translator, form: Form, want: str) -> Expression:
    a, b = _numbers(translator, form, want)
    if (known := folded("REM", [a, b])) is not None:
        return known
    left = called(f"{translator.imports.use('math', '')}.fmod", a, b, type_="float")
    return called("int", left, type_="int") if number_type(a, b) == "int" else left


def _stepped(by: int, translator: Translator, form: Form, want: str) -> Expression:
    (only,) = _numbers(translator, form, want)
    return infix("+" if by > 0 else "-", SUM, [only, number(1)], only.type or "int")


def _power(translator: Translator, form: Form, want: str) -> Expression:
    base, exponent = _numbers(translator, form, want)
    if (known := folded("EXPT", [base, exponent])) is not None:
        return known
    return power(base, exponent, number_type(base, exponent))


def _shift(translator: Translator, form: Form, want: str) -> Expression:
    a, b = _numbers(translator, form, "int")
    if (known := folded("ASH", [a, b])) is not None:
        return known
    if b.number is None:
        raise translator.untranslatable(form, "it is not known which way it shifts")
    sign, by = ("<<", b.number) if b.number >= 0 else (">>", -b.number)
    return Expression(f"({a.within(SUM)} {sign} {by})", "int")


def _real(name: str, translator: Translator, form: Form, want: str) -> Expression:
    operands = translator.items(form.rest, "float")
    use = translator.imports.use("math", "")
    return called(f"{use}.{name}", *operands, type_="float")


def _float(translator: Translator, form: Form, want: str) -> Expression:
    return called("float", translator.value(form.rest[0], "float"), type_="float")


def _compared(sign: str, translator: Translator, form: Form, want: str) -> Expression:
    operands = _numbers(translator, form)
    if len(operands) == 2 and all(each.number is not None for each in operands):
        return truth(FUNCTIONS[form.head](*(each.number for each in operands)) is not None)
    text = f" {sign} ".join(each.within(SUM) for each in operands)
    if sign == "!=" and len(operands) > 2:
        raise translator.untranslatable(form)
    return Expression(text, "bool", COMPARISON)


def _tested(test: str, translator: Translator, form: Form, want: str) -> Expression:
    (only,) = _numbers(translator, form)
    return Expression(f"{only.within(PRODUCT)} {test}", "bool", COMPARISON)


def _is_kind(kinds: tuple[str, ...], translator: Translator, form: Form, want: str) -> Expression:
    found = translator.value(form.rest[0])
    if found.type in ("int", "float", "Fraction") or is_list(found.type):
        return truth(found.type in kinds)
    if found.type == "" and "int" in kinds:
        translator.facts.need(found.fact, "int")
    raise translator.untranslatable(form, "the type of its argument is not known")


def product_of(translator: Translator, form: Form, want: str) -> Expression:
    """Return the product of the items of a list: ``(apply #'* list)``."""
    found = translator.value(form.rest[-1])
    others = translator.items(form.rest[1:-1])
    if found.items is not None and not any(each.is_splat for each in found.items):
        return infix("*", PRODUCT, [*others, *found.items], "int")
    use = translator.imports.use("math", "")
    inner = f"[{', '.join([*(each.text for each in others), splat(found).text])}]"
    product = f"{use}.prod({inner if others else found.text})"
    return Expression(product, "int")


_COMPARISONS = {"=": "==", "/=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_TESTS = {"ZEROP": "== 0", "PLUSP": "> 0", "MINUSP": "< 0", "EVENP": "% 2 == 0", "ODDP": "% 2 == 1"}
_REALS = {"SQRT": "sqrt", "EXP": "exp", "SIN": "sin", "COS": "cos", "TAN": "tan", "TANH": "tanh"}
_KINDS = {
    "INTEGERP": ("int",),
    "NUMBERP": ("int", "Fraction", "float"),
    "REALP": ("int", "Fraction", "float"),
    "RATIONALP": ("int", "Fraction"),
    "FLOATP": ("float",),
}
_UNARY: dict[str, Callable[..., Expression]] = {
    "1+": partial(_stepped, 1),
    "1-": partial(_stepped, -1),
    "ABS": _absolute,
    "FLOAT": _float,
}
VALUE_FORMS: Mapping[str, ValueForm] = {
    **{name: partial(_sum, name) for name in _SIGNS},
    **{name: partial(_rounded, name) for name in _ROUNDINGS},
    **{name: partial(_compared, sign) for name, sign in _COMPARISONS.items()},
    **{name: partial(_tested, test) for name, test in _TESTS.items()},
    **{name: partial(_real, function) for name, function in _REALS.items()},
    **{name: partial(_is_kind, kinds) for name, kinds in _KINDS.items()},
    **_UNARY,
    "LOG": partial(_real, "log"),
    "/": _divide,
    "MIN": partial(_extreme, "min"),
    "MAX": partial(_extreme, "max"),
    "MOD": _modulo,
    "REM": _remainder,
    "EXPT": _power,
    "ASH": _shift,
    "ISQRT": partial(_real, "isqrt"),
}
