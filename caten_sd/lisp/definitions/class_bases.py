"""Refuse classes whose bases never end, or end too late."""

from __future__ import annotations

from collections.abc import Collection

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import ClassLike

MOST_BASES = 149  # in a row


def refuse_base(definition: ClassLike, subclasses: Collection[str]) -> None:
    """Raise LispError for a class that is its own base, or that of too many classes in a row."""
    if definition.name.name in subclasses:
        raise LispError(
            definition.place,
            f"the class {definition.name} is a subclass of itself",
            "name another base",
        )
    if len(subclasses) > MOST_BASES:
        raise LispError(
            definition.place,
            f"{definition.name} is a base of more than {MOST_BASES} classes in a row",
            "put their slots into fewer classes",
        )
