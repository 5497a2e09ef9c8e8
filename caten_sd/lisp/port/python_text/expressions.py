"""Expressions of Python as text, with what is known of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fractions import Fraction

import attrs

from caten_sd.lisp.port.python_text.python_types import joined
from caten_sd.lisp.syntax.datum import SingleFloat, literal_text

# How strongly the parts of an expression hold together, from loose to tight.
CHOICE, OR, AND, NOT, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(10)


_PLAIN = ("bool", "int", "float", "Fraction", "str", "None")
DTYPE = "\0"  # stands for a dtype that is not chosen yet


@attrs.frozen
class Expression:
    """Text, the type of its value, and what else a form around it may ask for."""

    text: str
    type: str = ""
    strength: int = ATOM
    loose: bool = False  # a type checker sees Any
    number: int | Fraction | float | None = None  # the value, if it is written out
    items: tuple[Expression, ...] | None = None  # of a list that is written out
    values: tuple[Expression, ...] | None = None  # several values of a form
    fact: str = ""  # the name under which its type is found out
    base: str = ""  # the tensor that a view was cut from
    floating: bool = False  # a tensor of floats, for certain
    mask: bool = False  # a tensor of truth values, for certain
    recast: Expression | None = None  # the same in another dtype, which is written as a DTYPE
    like: str = ""  # the text of a tensor whose shape it has
    narrow: Expression | None = None  # a reduction before it is repeated to that shape
    pair: bool = False  # a pair of Lisp, whose second item is not a list
    acts: bool = False  # it does something besides giving a value

    def within(self, strength: int) -> str:
        """Return the text, in parentheses if it holds together less than this."""
        return self.text if self.strength >= strength else f"({self.text})"

    @property
    def operand(self) -> str:
        """The text before a dot or a bracket; a number needs parentheses there."""
        plain = self.strength == ATOM and not self.text[:1].isdigit()
        return self.text if plain else f"({self.text})"

    @property
    def shape_key(self) -> str:
        """The text of a tensor that has its shape: its own if no other is known."""
        return self.like or self.text

    @property
    def is_plain(self) -> bool:
        """Whether it is certain to hold no tensor: a number, a text, None, or a pair of them."""
        return self.type in _PLAIN or (
            self.pair and all(each.is_plain for each in self.items or ())
        )

    @property
    def is_name(self) -> bool:
        """Whether it is a variable or an attribute, which costs nothing to write twice."""
        return re.fullmatch(r"[^\W\d][\w.]*", self.text) is not None

    @property
    def is_splat(self) -> bool:
        """Whether it is all the items of a list among others."""
        return self.text.startswith("*")


NIL = Expression("None", "None")
TRUE = Expression("True", "bool")
FALSE = Expression("False", "bool")


def truth(known: bool) -> Expression:
    """Return what is always true, or never."""
    return TRUE if known else FALSE


def number(value: int | Fraction | float) -> Expression:
    """Return a number that is written out; a single float as the shortest that Lisp reads so.

    >>> number(-3).strength == SIGN, number(Fraction(1, 2)).text, number(1e-5).text
    (True, 'Fraction(1, 2)', '1e-5')
    """
    if isinstance(value, SingleFloat):
        return attrs.evolve(number(float(literal_text(value))), number=value)
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return number(value.numerator)
        return Expression(
            f"Fraction({value.numerator}, {value.denominator})", "Fraction", number=value
        )
    kind = "int" if isinstance(value, int) else "float"
    return Expression(_digits(value), kind, SIGN if value < 0 else ATOM, number=value)


def _digits(value: float) -> str:
    text = repr(value)
    mantissa, sign, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if sign else text


def text_literal(text: str) -> str:
    """Return a string in the quotes that a formatter keeps.

    >>> print(text_literal("tanh"), text_literal('a"b'))
    "tanh" 'a"b'
    """
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def listed(items: Iterable[Expression], type_: str = "") -> Expression:
    """Return a list of these items."""
    found = tuple(items)
    inner = type_
    for each in found:
        own = each.type[5:-1] if each.is_splat and each.type.startswith("list[") else each.type
        inner = joined(inner, own)
    return Expression(f"[{comma(found)}]", f"list[{inner}]", items=found)


def indexed(name: str, found: Expression) -> tuple[Expression, ...] | None:
    """Return the items of a list that a variable holds, each by its index."""
    if found.items is None or any(each.is_splat for each in found.items):
        return None
    return tuple(
        Expression(f"{name}[{at}]", each.type, number=each.number)
        for at, each in enumerate(found.items)
    )


def comma(items: Iterable[Expression]) -> str:
    """Return arguments or items as text."""
    return ", ".join(each.text for each in items)


def splat(expression: Expression) -> Expression:
    """Return all the items of a list, to be put among others."""
    return attrs.evolve(expression, text=f"*{expression.within(SUM)}", items=None)


def infix(
    sign: str, strength: int, operands: Iterable[Expression], type_: str, *, loose: bool = False
) -> Expression:
    """Return operands with a sign between each two; operands on the right hold tighter."""
    first, *others = operands
    text = first.within(strength)
    for each in others:
        text += f" {sign} {each.within(strength + 1)}"
    return Expression(text, type_, strength, loose)


def power(base: Expression, exponent: Expression, type_: str) -> Expression:
    """Return a power, which a formatter writes without spaces between short operands."""
    a, b = base.within(ATOM), exponent.within(SIGN)
    plain = re.fullmatch(r"[\w.]+", a) and re.fullmatch(r"-?[\w.]+", b)
    return Expression(f"{a}**{b}" if plain else f"{a} ** {b}", type_, POWER)


def called(function: str, *arguments: Expression, type_: str = "", **more: object) -> Expression:
    """Return a call of a function."""
    return Expression(f"{function}({comma(arguments)})", type_, **more)  # type: ignore[arg-type]


def method(
    owner: Expression, name: str, *arguments: str, type_: str = "Tensor", **more: object
) -> Expression:
    """Return a call of a method; a type checker sees Any where its owner is Any."""
    return Expression(
        f"{owner.operand}.{name}({', '.join(arguments)})",
        type_,
        loose=owner.loose,
        **more,  # type: ignore[arg-type]
    )


def option(name: str, value: str | None) -> tuple[str, ...]:
    """Return an argument by name, none if there is no value."""
    return () if value is None else (f"{name}={value}",)
