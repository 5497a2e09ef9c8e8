"""The definitions of a Lisp file, in order, as values; nothing in them is evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import attrs

from caten_sd.lisp.definitions.lambda_lists import LambdaList
from caten_sd.lisp.syntax.datum import Datum, SourcePlace, Symbol


@attrs.frozen
class ModelSlot:
    """A slot of a model: the form that builds its value, and what reads or sets it.

    The form of a slot that a class declares by ``:initform`` sees no argument.
    """

    name: Symbol
    form: Datum | None
    readers: tuple[Symbol, ...] = ()
    accessors: tuple[Symbol, ...] = ()
    initarg: Symbol | None = None
    documentation: str = ""

    @property
    def place(self) -> SourcePlace:
        """The place of its name."""
        return self.name.place


@attrs.frozen
class ModelDefinition:
    """A ``defmodel``: its slots are built in order from its arguments, and then its body runs."""

    name: Symbol
    arguments: LambdaList
    slots: tuple[ModelSlot, ...]
    body: tuple[Datum, ...]
    documentation: str
    where: str
    place: SourcePlace


@attrs.frozen
class ModuleDefinition:
    """A ``defmodule``: its slots have an ``:initform``, and its forward pass is ``:impl``."""

    name: Symbol
    arguments: LambdaList
    slots: tuple[ModelSlot, ...]
    attributes: tuple[Datum, ...]  # :key form :key form ...
    documentation: str
    place: SourcePlace


@attrs.frozen
class ClassDefinition:
    """A ``defclass``: slots added to those of its bases."""

    name: Symbol
    bases: tuple[Symbol, ...]
    slots: tuple[ModelSlot, ...]
    documentation: str
    place: SourcePlace


@attrs.frozen
class SequenceDefinition:
    """A ``defsequence``: each node is a form that builds a model or a function."""

    name: Symbol
    arguments: LambdaList
    nodes: tuple[Datum, ...]
    place: SourcePlace


@attrs.frozen
class FunctionDefinition:
    """A ``defun``."""

    name: Symbol
    arguments: LambdaList
    body: tuple[Datum, ...]
    documentation: str
    place: SourcePlace


@attrs.frozen
class VariableDefinition:
    """A ``defparameter``, ``defvar`` or ``defconstant``; ``kind`` is that word in upper case."""

    kind: str
    name: Symbol
    form: Datum | None
    place: SourcePlace


@attrs.frozen
class MethodDefinition:
    """A ``defmethod``; the qualifiers are such as ``:before``."""

    name: Symbol
    qualifiers: tuple[Symbol, ...]
    arguments: LambdaList
    body: tuple[Datum, ...]
    documentation: str
    place: SourcePlace


@attrs.frozen
class CallDefinition:
    """A ``defcall``: the forward pass of a model, with the shapes of its inputs."""

    instance: Symbol
    model: Symbol
    shapes: tuple[Datum, ...]
    body: tuple[Datum, ...]
    documentation: str
    place: SourcePlace


@attrs.frozen
class SkippedForm:
    """A form that defines nothing here, or that cannot be read: ``why`` says so."""

    head: str
    name: str  # in upper case; "" if it has none
    why: str
    place: SourcePlace


Definition: TypeAlias = (
    ModelDefinition
    | ModuleDefinition
    | ClassDefinition
    | SequenceDefinition
    | FunctionDefinition
    | VariableDefinition
    | MethodDefinition
    | CallDefinition
)
ClassLike: TypeAlias = ModelDefinition | ModuleDefinition | ClassDefinition | SequenceDefinition


@attrs.frozen
class Definitions:
    """The definitions of a file by what they are; of two with one name the later one holds."""

    models: dict[str, ClassLike]
    functions: dict[str, FunctionDefinition]
    variables: dict[str, VariableDefinition]
    methods: tuple[MethodDefinition | CallDefinition, ...]
    skipped: dict[str, SkippedForm]


def by_kind(found: Iterable[Definition | SkippedForm]) -> Definitions:
    """Sort definitions by what they are."""
    sorted_ = Definitions({}, {}, {}, (), {})
    methods: list[MethodDefinition | CallDefinition] = []
    for each in found:
        if isinstance(each, SkippedForm):
            sorted_.skipped[each.name] = each
        elif isinstance(each, (MethodDefinition, CallDefinition)):
            methods.append(each)
        elif isinstance(each, FunctionDefinition):
            sorted_.functions[each.name.name] = each
        elif isinstance(each, VariableDefinition):
            sorted_.variables[each.name.name] = each
        else:
            sorted_.models[each.name.name] = each
    return attrs.evolve(sorted_, methods=tuple(methods))
