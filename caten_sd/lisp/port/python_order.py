"""The order of definitions in a module of Python, which runs them from its first line on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from caten_sd.lisp.definitions.definition import (
    CallDefinition,
    Definition,
    Definitions,
    MethodDefinition,
    VariableDefinition,
)
from caten_sd.lisp.port.ported_classes import PortedClass, called_model


def in_order(
    definitions: Definitions,
    written: Sequence[Definition],
    classes: Mapping[str, PortedClass],
) -> Iterator[Definition]:
    """Yield the definitions of a file, of two with one name the later one.

    A default reads a constant when Python defines the function, and so before Lisp would. A class
    is before its subclasses and its forward pass; else the order is that of the file.
    """
    kept = {*map(id, definitions.models.values()), *map(id, definitions.functions.values())}
    kept |= {*map(id, definitions.variables.values()), *map(id, definitions.methods)}
    found = [each for each in written if id(each) in kept]
    yield from (each for each in found if isinstance(each, VariableDefinition))
    done: set[int] = set()
    for each in found:
        if not isinstance(each, VariableDefinition):
            yield from _with_bases(each, classes, done)


def _with_bases(
    definition: Definition, classes: Mapping[str, PortedClass], done: set[int]
) -> Iterator[Definition]:
    """Yield a definition after the class that it needs, unless it is done."""
    if id(definition) in done:
        return
    done.add(id(definition))
    needed: PortedClass | None
    if isinstance(definition, (CallDefinition, MethodDefinition)):
        needed = called_model(definition, dict(classes))
    else:
        own = next((each for each in classes.values() if each.definition is definition), None)
        needed = None if own is None else own.base
    if needed is not None:
        yield from _with_bases(needed.definition, classes, done)
    yield definition
