"""What the reader gives: symbols, literals and forms, each with the place it was read from."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import attrs

from caten_sd.errors import LispError

CONSTANT_NAMES = ("NIL", "T", "PI")  # which nothing can be called, and which cannot be set
KEYWORD = "KEYWORD"  # the package of :name


@attrs.frozen
class SourcePlace:
    """A file, a line and a column, both from 1.

    >>> str(SourcePlace("net.lisp", 3, 5))
    'net.lisp:3:5'
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = SourcePlace("Python", 0, 0)  # of a value that comes from a Python caller


def _keyword(package: str) -> bool:
    return package == KEYWORD


@attrs.frozen
class Symbol:
    """A name, folded to upper case unless it was written between bars.

    Two symbols are equal if their names are, and if both or neither is a keyword; the package
    before a colon is kept and not compared.
    """

    name: str
    spelling: str = attrs.field(eq=False)
    package: str = attrs.field(default="", eq=_keyword)
    place: SourcePlace = attrs.field(default=NOWHERE, eq=False, repr=False)

    @property
    def is_keyword(self) -> bool:
        """Whether the symbol was written with a colon before it, and so evaluates to itself."""
        return self.package == KEYWORD

    def __str__(self) -> str:
        return f":{self.spelling}" if self.is_keyword else self.spelling


class SingleFloat(float):
    """A float of 32 bits, which `1e-5` is in Lisp; a plain float is one of 64 bits."""

    __slots__ = ()


def single(value: float) -> SingleFloat:
    """Return the float of 32 bits that is nearest to a value; OverflowError if there is none.

    >>> single(1e-5)
    9.999999747378752e-06
    """
    try:
        return SingleFloat(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        raise OverflowError("a float of 32 bits cannot be so large") from None


@attrs.frozen
class Character:
    """A character, as in ``#\\a``."""

    text: str


@attrs.frozen
class Literal:
    """A number, a string or a character."""

    value: int | Fraction | float | str | Character
    place: SourcePlace = attrs.field(default=NOWHERE, eq=False, repr=False)


@attrs.frozen
class Form:
    """A list of at least one datum; ``tail`` is what follows a dot, if there is one."""

    items: tuple[Datum, ...]
    tail: Datum | None = None
    place: SourcePlace = attrs.field(default=NOWHERE, eq=False, repr=False)
    size: int = attrs.field(init=False, eq=False, repr=False)  # of all data in it

    @size.default
    def _size(self) -> int:
        return sum(each.size if isinstance(each, Form) else 1 for each in self.items) + 1

    @property
    def head(self) -> str:
        """The name of the symbol that the form begins with, or "" if it is another datum."""
        first = self.items[0]
        return first.name if isinstance(first, Symbol) and not first.is_keyword else ""

    @property
    def rest(self) -> tuple[Datum, ...]:
        """What follows the head."""
        return self.items[1:]


Datum: TypeAlias = Symbol | Literal | Form

# How a form is written whose head is one of these signs of the reader.
SIGNS = {
    "QUOTE": "'",
    "QUASIQUOTE": "`",
    "UNQUOTE": ",",
    "UNQUOTE-SPLICING": ",@",
    "FUNCTION": "#'",
    "VECTOR-LITERAL": "#",
}


def is_nil(datum: Datum | None) -> bool:
    """Return whether a datum is nil, which ``()`` is too."""
    return isinstance(datum, Symbol) and datum.name == "NIL" and not datum.is_keyword


def items_of(datum: Datum, what: str) -> tuple[Datum, ...]:
    """Return the items of a list, none for nil; LispError, which says what was expected, if not."""
    if is_nil(datum):
        return ()
    if isinstance(datum, Form) and datum.tail is None:
        return datum.items
    raise LispError(datum.place, f"{brief(datum)} is not {what}", f"write {what} there")


def symbol_of(datum: Datum, what: str) -> Symbol:
    """Return a symbol that may name something; LispError, which says what was expected, if not."""
    if isinstance(datum, Symbol) and not datum.is_keyword and datum.name not in CONSTANT_NAMES:
        return datum
    raise LispError(datum.place, f"{brief(datum)} is not {what}", f"write {what} there")


def walk_data(datum: Datum) -> Iterator[Datum]:
    """Yield a datum and all that is in it, outer ones first."""
    waiting = [datum]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, Form):
            waiting += (*(() if each.tail is None else (each.tail,)), *reversed(each.items))


def brief(datum: Datum, most: int = 60) -> str:
    """Return a datum as text for a message; of a long one only the beginning."""
    text = ""
    for piece in _pieces(datum):
        text += piece
        if len(text) > most:
            return f"{text[: most - 1]}…"
    return text


def _pieces(datum: Datum) -> Iterator[str]:
    if not isinstance(datum, Form):
        yield str(datum) if isinstance(datum, Symbol) else literal_text(datum.value)
        return
    if datum.head in SIGNS and len(datum.items) == 2:
        yield SIGNS[datum.head]
        yield from _pieces(datum.items[1])
        return
    yield "("
    for number, item in enumerate(datum.items):
        yield " " * (number > 0)
        yield from _pieces(item)
    if datum.tail is not None:
        yield " . "
        yield from _pieces(datum.tail)
    yield ")"


def literal_text(value: Any) -> str:
    """Return a number, a string or a character as Lisp writes it.

    >>> print(literal_text(0.5), literal_text(single(1e-5)), literal_text('a"b'))
    0.5d0 1e-5 "a\\"b"
    """
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Character):
        return f"#\\{value.text}"
    if isinstance(value, SingleFloat):
        return _float_text(_shortest(value), "e")
    return _float_text(repr(value), "d") if isinstance(value, float) else str(value)


def _shortest(value: SingleFloat) -> str:
    """Return the shortest text of a float of 32 bits."""
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((text for text in texts if _rounds_to(text, value)), repr(float(value)))


def _rounds_to(text: str, value: float) -> bool:
    try:
        return single(float(text)) == value
    except OverflowError:
        return False


def _float_text(text: str, sign: str) -> str:
    digits, _, exponent = text.partition("e")
    if not exponent and sign == "e":
        return digits if "." in digits or not digits[-1].isdigit() else f"{digits}.0"
    return f"{digits}{sign}{int(exponent or 0)}"
