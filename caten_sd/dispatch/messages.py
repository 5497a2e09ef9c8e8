"""The error messages of dispatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caten_sd.dispatch.method import Classes, Function, Method, class_names, label
from caten_sd.wording import counted, first_few

SHOWN = 8


def missing(
    generic: str, types: Classes, methods: Sequence[Method], plugins: Mapping[str, str]
) -> str:
    """Return what to say when no primary method takes these types: who does, how to add one.

    ``plugins`` gives the reason for each plug-in that could not be loaded.
    """
    known = [each.classes for each in methods if each.qualifier == "primary"]
    listed = first_few([f"({class_names(classes)})" for classes in known], SHOWN)
    aimed = [each for each in methods if each.applies(types)]
    if all(cls is object for each in aimed for cls in each.classes):
        aimed = []  # what watches every call says nothing of these types
    others = sorted({each.qualifier for each in aimed})
    kind = "primary method" if others else "method"
    existing = f"its methods take {listed}" if known else f"it has no {kind}s yet"
    only = f", only {' and '.join(others)} methods do" if others else ""
    broken = "".join(
        f"; the plug-in {name} might have one, but cannot be loaded ({reason})"
        for name, reason in plugins.items()
    )
    return (
        f"no {kind} of {generic} takes ({_full_names(types)}){only}; {existing}; "
        f"add one with @{generic}.register({class_names(_distinctive(types, known))}){broken}"
    )


def _distinctive(types: Classes, known: Sequence[Classes]) -> Classes:
    """Return the types without the last ones, on which no known method depends."""
    count = len(types)
    while known and count > 1 and all(classes[count - 1] is object for classes in known):
        count -= 1
    return types[:count]


def _full_names(types: Classes) -> str:
    modules = ("" if t.__module__ == "builtins" else f"{t.__module__}." for t in types)
    return ", ".join(m + t.__qualname__ for m, t in zip(modules, types, strict=True))


def ambiguous(generic: str, types: Classes, methods: Sequence[Method]) -> str:
    """Return what to say when several methods apply equally: which, and how to decide."""
    names = class_names(types)
    return (
        f"{generic}({names}) could run {' or '.join(map(str, methods))}, and none is more "
        f"specific; decide it with a method for exactly these types, @{generic}.register({names})"
    )


def duplicate(generic: str, known: Method, function: Function) -> str:
    """Return what to say when a method already exists: which, and how to replace it on purpose."""
    return (
        f"{generic} already has the method {known}, which {label(function)} would replace; "
        f"register the new one for other classes, or give it the module and name of the old one"
    )


def too_few(generic: str, signature: object, arity: int, count: int) -> str:
    """Return what to say when a call has too few positional arguments."""
    return (
        f"{generic} dispatches on {counted(arity, 'positional argument')} and got {count}; call it "
        f"as {generic}{signature}"
    )
