"""What the classes that a layout is written with take, as the annotations of their fields say."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from caten_sd.errors import LayoutError
from caten_sd.state.value_kinds import are_all, is_flag, is_number, is_text, is_whole
from caten_sd.wording import a_or_an

T = TypeVar("T")


class FieldKind(NamedTuple):
    """What a field takes: in words, as one and as several, and as a test of a value."""

    one: str
    several: str
    takes: Callable[[Any], bool]


_PLAIN = {
    "str": FieldKind("a text", "texts", is_text),
    "int": FieldKind("a whole number", "whole numbers", is_whole),
    "float": FieldKind("a number", "numbers", is_number),
    "bool": FieldKind("True or False", "flags", is_flag),
    "None": FieldKind("None", "None", lambda value: value is None),
    "Size": FieldKind(
        "a whole number or the name of one",
        "whole numbers or names of them",
        lambda value: is_text(value) or is_whole(value),
    ),
}
_OF_CLASSES = ("Row", "Drop", "Lacks", "Layout", "Operation")


def checked_fields(cls: type[T]) -> type[T]:
    """Return the class, whose ``__init__`` refuses what the annotation of a parameter excludes."""
    init = cls.__init__
    parameters = list(inspect.signature(init).parameters.values())[1:]
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ordered = [each.name for each in parameters if each.kind in by_place]
    kinds = {each.name: kind_of(str(each.annotation)) for each in parameters}
    known = {name: kind for name, kind in kinds.items() if kind is not None}

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **fields: Any) -> None:
        for name, value in (*zip(ordered, args, strict=False), *fields.items()):
            kind = known.get(name)
            if kind is not None and not kind.takes(value):
                given = "None" if value is None else a_or_an(type(value).__name__)
                raise LayoutError(f"{cls.__name__}: {name}= takes {kind.one}, not {given}")
        init(self, *args, **fields)

    cls.__init__ = checked  # type: ignore[method-assign]
    return cls


@functools.cache
def kind_of(annotation: str) -> FieldKind | None:
    """Return the kind that an annotation names, or None if it is not one that is checked.

    >>> kind_of("tuple[Size, ...] | None").one
    'a sequence of whole numbers or names of them, or None'
    >>> kind_of("Mapping[str, int | str]").takes({"n": 1}), kind_of("Any")
    (True, None)
    """
    parts = _divided(annotation, "|")
    if len(parts) > 1:
        return _either([kind_of(part) for part in parts])
    outer, _, inner = annotation.partition("[")
    if outer in ("tuple", "Sequence", "Collection", "Iterable"):
        first, *rest = _divided(inner[:-1], ",")
        return None if rest not in ([], ["..."]) else _sequence(kind_of(first))
    if outer == "Mapping":
        return _mapping(*map(kind_of, _divided(inner[:-1], ",")))
    if annotation in _OF_CLASSES:
        return FieldKind(a_or_an(annotation), annotation, lambda value: _is_a(value, annotation))
    return _PLAIN.get(annotation)


def _divided(text: str, sign: str) -> list[str]:
    """Return the parts of an annotation between signs that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == sign and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _either(kinds: list[FieldKind | None]) -> FieldKind | None:
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    first, last = known[:-1], known[-1]
    one = ", ".join(kind.one for kind in first)
    several = ", ".join(kind.several for kind in first)
    between = ", or " if last.one == "None" else " or "
    return FieldKind(
        f"{one}{between}{last.one}",
        f"{several} or {last.several}",
        lambda value: any(kind.takes(value) for kind in known),
    )


def _sequence(kind: FieldKind | None) -> FieldKind | None:
    if kind is None:
        return None
    one = f"a sequence of {kind.several}"
    return FieldKind(one, f"sequences of {kind.several}", lambda value: are_all(value, kind.takes))


def _mapping(key: FieldKind | None, value: FieldKind | None) -> FieldKind | None:
    if key is None or value is None:
        return None
    words = f"of {key.several} to {value.several}"
    return FieldKind(
        f"a mapping {words}",
        f"mappings {words}",
        lambda given: (
            isinstance(given, Mapping)
            and are_all(given, key.takes)
            and are_all(given.values(), value.takes)
        ),
    )


def _is_a(value: Any, name: str) -> bool:
    return any(cls.__name__ == name for cls in type(value).__mro__)
