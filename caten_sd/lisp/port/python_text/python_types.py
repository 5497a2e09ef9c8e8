"""Types of Python as text, as an annotation shows them; "" is a type that is not known."""

from __future__ import annotations

NONE, ANY = "None", "Any"
_NUMBERS = ("bool", "int", "Fraction", "float")  # each holds the values of those before it


def joined(first: str, second: str) -> str:
    """Return a type that has the values of both.

    >>> joined("int", "float"), joined("Tensor", "None"), joined("", "str"), joined("str", "Tensor")
    ('float', 'Tensor | None', 'str', 'Any')
    """
    if first == second or not second:
        return first
    if not first:
        return second
    if NONE in (first, second) or is_optional(first) or is_optional(second):
        known = joined(present(first), present(second))
        return known if known == ANY else optional(known)
    if first in _NUMBERS and second in _NUMBERS:
        return max(first, second, key=_NUMBERS.index)
    if value_types(first) and len(value_types(first)) == len(value_types(second)):
        each = map(joined, value_types(first), value_types(second))
        return f"tuple[{', '.join(each)}]"
    if first.startswith("list[") and second.startswith("list["):
        return f"list[{joined(item_type(first), item_type(second))}]"
    return ANY


def optional(type_: str) -> str:
    """Return a type that has None too."""
    if type_ in ("", NONE):
        return NONE
    return type_ if type_ == ANY or is_optional(type_) else f"{type_} | None"


def is_optional(type_: str) -> bool:
    """Return whether a type has None and other values."""
    return type_.endswith(" | None")


def present(type_: str) -> str:
    """Return a type without None."""
    return "" if type_ == NONE else type_.removesuffix(" | None")


def item_type(type_: str) -> str:
    """Return the type of the items of a list, "" if it is not known.

    >>> item_type("list[Block]"), item_type("Size"), item_type("int")
    ('Block', 'int', '')
    """
    if type_ == "Size":
        return "int"
    return type_[5:-1] if type_.startswith("list[") else ""


def is_list(type_: str) -> bool:
    """Return whether a type is that of a list of Lisp."""
    return type_.startswith("list[") or type_ == "Size"


def value_types(type_: str) -> list[str]:
    """Return the types of several values, none for the type of one.

    >>> value_types("tuple[Tensor, list[int]]"), value_types("Tensor")
    (['Tensor', 'list[int]'], [])
    """
    return type_[6:-1].split(", ") if type_.startswith("tuple[") else []
