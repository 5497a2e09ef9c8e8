"""Lambda lists: the arguments of a model, a function or a method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import (
    KEYWORD,
    NOWHERE,
    Datum,
    Form,
    SourcePlace,
    Symbol,
    brief,
    items_of,
    symbol_of,
)

ArgumentKind = Literal["required", "optional", "rest", "key", "aux"]

_SECTIONS: dict[str, ArgumentKind] = {
    "&OPTIONAL": "optional",
    "&REST": "rest",
    "&BODY": "rest",
    "&KEY": "key",
    "&AUX": "aux",
}
_OTHERS = "&ALLOW-OTHER-KEYS"


@attrs.frozen
class Argument:
    """One argument; ``default`` is a form, and ``specializer`` the class that a method names."""

    symbol: Symbol
    kind: ArgumentKind
    default: Datum | None = None
    supplied: Symbol | None = None  # the variable that says whether the argument was given
    keyword: Symbol | None = None
    specializer: Datum | None = None

    def __str__(self) -> str:
        name = self.symbol.spelling.lower()
        return name if self.default is None else f"({name} {brief(self.default, 30)})"


@attrs.frozen
class LambdaList:
    """The arguments in order, and whether keys that are not named are accepted."""

    arguments: tuple[Argument, ...]
    allows_others: bool = False
    place: SourcePlace = attrs.field(default=NOWHERE, eq=False, repr=False)

    def of_kind(self, *kinds: ArgumentKind) -> list[Argument]:
        """Return the arguments of these kinds, in order."""
        return [each for each in self.arguments if each.kind in kinds]

    def __str__(self) -> str:
        signs = {kind: sign.lower() for sign, kind in _SECTIONS.items() if sign != "&BODY"}
        words, before = [], "required"
        for each in self.of_kind("required", "optional", "rest", "key"):
            if each.kind != before:
                words.append(signs[each.kind])
            words.append(str(each))
            before = each.kind
        return f"({' '.join(words)})"


def lambda_list(datum: Datum, *, specialized: bool = False) -> LambdaList:
    """Return the lambda list that a datum is; LispError if it is not one.

    In that of a method, a required argument may name the class it is for.

    >>> from caten_sd.lisp.syntax.reader import read_data
    >>> str(lambda_list(*read_data("(dim &key (eps 1e-5) bias)")))
    '(dim &key (eps 1e-5) bias)'
    """
    items = items_of(datum, "a list of arguments")
    arguments = tuple(_arguments(items, specialized=specialized))
    seen: set[str] = set()
    for each in arguments:
        if each.symbol.name in seen:
            raise LispError(
                each.symbol.place, f"the argument {each.symbol} is there twice", "rename one"
            )
        seen.add(each.symbol.name)
    others = any(isinstance(item, Symbol) and item.name == _OTHERS for item in items)
    return LambdaList(arguments, others, datum.place)


def _arguments(items: tuple[Datum, ...], *, specialized: bool) -> Iterator[Argument]:
    kind: ArgumentKind = "required"
    for item in items:
        if isinstance(item, Symbol) and item.name.startswith("&"):
            if item.name not in {*_SECTIONS, _OTHERS}:
                raise LispError(
                    item.place,
                    f"{item} is not read in a list of arguments",
                    "use &optional, &key, &rest or &aux",
                )
            kind = _SECTIONS.get(item.name, kind)
        elif kind == "required" and specialized and isinstance(item, Form):
            yield _specialized(item)
        elif kind in ("required", "rest"):
            yield Argument(symbol_of(item, "the name of an argument"), kind)
        else:
            yield _with_default(item, kind)


def _specialized(item: Form) -> Argument:
    if len(item.items) != 2:
        raise LispError(item.place, f"{brief(item)} is not an argument", "write (name class)")
    name = symbol_of(item.items[0], "the name of an argument")
    return Argument(name, "required", specializer=item.items[1])


def _with_default(item: Datum, kind: ArgumentKind) -> Argument:
    parts = (item,) if isinstance(item, Symbol) else items_of(item, "an argument")
    if not 1 <= len(parts) <= 3:
        raise LispError(item.place, f"{brief(item)} is not an argument", "write (name default)")
    keyword, name = _names(parts[0], kind)
    default = parts[1] if len(parts) > 1 else None
    supplied = symbol_of(parts[2], "the name of a variable") if len(parts) > 2 else None
    return Argument(name, kind, default, supplied, keyword)


def _names(datum: Datum, kind: ArgumentKind) -> tuple[Symbol | None, Symbol]:
    if isinstance(datum, Form) and kind == "key" and len(datum.items) == 2:
        keyword, name = datum.items
        if isinstance(keyword, Symbol) and keyword.is_keyword:
            return keyword, symbol_of(name, "the name of an argument")
    name = symbol_of(datum, "the name of an argument")
    return attrs.evolve(name, package=KEYWORD) if kind == "key" else None, name
