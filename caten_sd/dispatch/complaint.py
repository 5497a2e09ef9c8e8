"""What a generic function says when it cannot choose a method, or will not take one: a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caten_sd.dispatch.method import Classes, Function, Method, class_names, label
from caten_sd.wording import first_few

SHOWN = 8


def missing(
    generic: str, types: Classes, methods: Sequence[Method], plugins: Mapping[str, str]
) -> str:
    """Say that no primary method takes these types, which are known, and how to add one.

    ``plugins`` maps the name of each plug-in that did not load to the reason.
    """
    known = [each.classes for each in methods if each.qualifier == "primary"]
    names = first_few([f"({class_names(classes)})" for classes in known], SHOWN) or "none"
    others = sorted({each.qualifier for each in methods if each.applies(types)})
    only = f" as its primary method, only {' and '.join(others)} methods do" if others else ""
    broken = "".join(
        f"; the plug-in {name} might bring one, but does not load ({reason})"
        for name, reason in plugins.items()
    )
    return (
        f"no method of {generic} takes ({_full_names(types)}){only}; known are {names}; "
        f"add one with @{generic}.register({class_names(_telling(types, known))}){broken}"
    )


def _telling(types: Classes, known: Sequence[Classes]) -> Classes:
    """The types without the last ones, where all known methods leave ``object``."""
    count = len(types)
    while known and count > 1 and all(classes[count - 1] is object for classes in known):
        count -= 1
    return types[:count]


def _full_names(types: Classes) -> str:
    modules = ("" if t.__module__ == "builtins" else f"{t.__module__}." for t in types)
    return ", ".join(m + t.__qualname__ for m, t in zip(modules, types, strict=True))


def ambiguous(generic: str, types: Classes, methods: Sequence[Method]) -> str:
    """Say which methods could answer, and which one would settle it."""
    names = class_names(types)
    return (
        f"{generic}({names}) could be answered by {' or by '.join(map(str, methods))}, and none is "
        f"more specific; settle it with a method of its own, @{generic}.register({names})"
    )


def duplicate(generic: str, known: Method, function: Function) -> str:
    """Say which method is there already, and how to replace it on purpose."""
    return (
        f"{generic} has the method {known} already, and {label(function)} would replace it; "
        f"register it for other classes, or define it again under the old one's module and name"
    )


def too_few(generic: str, signature: object, arity: int, count: int) -> str:
    """Say how many positional arguments a call needs."""
    return (
        f"{generic} dispatches on {arity} positional argument{'s' * (arity != 1)}, but {count} "
        f"came; call it as {generic}{signature}"
    )
