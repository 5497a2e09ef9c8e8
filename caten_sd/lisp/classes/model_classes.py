"""Classes for the models of a Lisp file: the same arguments, slots, keys and shapes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.classes.caches import is_cache
from caten_sd.lisp.classes.copying import Referenced
from caten_sd.lisp.classes.dropped_state import warn_of_dropped_state
from caten_sd.lisp.classes.model_building import build_nodes, build_slots, slot_value_of
from caten_sd.lisp.classes.signatures import lisp_arguments, signature_of
from caten_sd.lisp.definitions.definition import (
    ClassDefinition,
    ClassLike,
    ModelDefinition,
    ModelSlot,
    ModuleDefinition,
    SequenceDefinition,
)
from caten_sd.lisp.definitions.lambda_lists import LambdaList
from caten_sd.lisp.definitions.names import class_name, key_of, python_name
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lists import items_in, keys_of
from caten_sd.nn.module import Module
from caten_sd.nn.sequential import Sequential
from caten_sd.objects.slots import slot, transient

_NO_BASES = frozenset({"MODEL", "MODULE", "FUNC", "STANDARD-OBJECT", "T"})
_MODEL_BASES = frozenset({"MODEL", "MODULE"})


@attrs.define
class LispModel(Referenced, Module):
    """A model that a Lisp file defines; a subclass has its slots."""

    evaluator: ClassVar[Evaluator]
    forward_pass: ClassVar[Any]  # a ForwardPass, which imports this file
    definition: ClassVar[ClassLike]
    arguments: ClassVar[LambdaList] = LambdaList(())
    lisp_attributes: ClassVar[Mapping[str, str]] = {}  # of slots, by the names of their symbols
    is_plain_class: ClassVar[bool] = False  # a defclass that is not a model in Caten

    @classmethod
    def build(cls, *values: Any) -> LispModel:
        """Return an instance for arguments as Lisp passes them."""
        instance = cls.__new__(cls)
        instance.fill(values)
        return instance

    @classmethod
    def instance(cls, *options: Any) -> LispModel:
        """Return an instance as ``make-instance`` does: ``:attrs`` lists the arguments by name."""
        given = items_in(keys_of(options, "ATTRS").get("ATTRS"))
        named = {key.name: value for key, value in zip(given[::2], given[1::2], strict=True)}
        values: list[Any] = []
        for each in cls.arguments.of_kind("required", "optional", "key"):
            if each.symbol.name in named:
                values += [] if each.keyword is None else [each.keyword]
                values.append(named[each.symbol.name])
        return cls.build(*values)

    def fill(self, values: Any) -> None:
        """Set the slots of this class and its bases from arguments as Lisp passes them."""


@attrs.define(init=False)
class LispSequence(Referenced, Sequential):
    """A sequence that a Lisp file defines."""

    evaluator: ClassVar[Evaluator]
    forward_pass: ClassVar[Any]  # a ForwardPass, which imports this file
    definition: ClassVar[SequenceDefinition]
    arguments: ClassVar[LambdaList]

    @classmethod
    def build(cls, *values: Any) -> LispSequence:
        """Return an instance for arguments as Lisp passes them."""
        instance = cls.__new__(cls)
        instance.fill(values)
        return instance

    def fill(self, values: Any) -> None:
        """Build the nodes from arguments as Lisp passes them."""
        Sequential.__init__(self, *build_nodes(self.evaluator, self.definition, values))


FindClass = Callable[[str], "type[LispModel] | None"]


def class_of(evaluator: Evaluator, definition: ClassLike, find: FindClass) -> Any:
    """Return the class that a definition of a file describes; ``find`` gives its other models."""
    if isinstance(definition, SequenceDefinition):
        return _sequence_class(evaluator, definition)
    if isinstance(definition, (ModelDefinition, ModuleDefinition)):
        return _made(evaluator, definition, LispModel, definition.arguments)
    base = _base_of(definition, find)
    made = _made(evaluator, definition, base or LispModel, (base or LispModel).arguments)
    made.is_plain_class = (base is None or base.is_plain_class) and not (
        {each.name for each in definition.bases} & _MODEL_BASES
    )
    return made


def _base_of(definition: ClassDefinition, find: FindClass) -> type[LispModel] | None:
    found = None
    for each in definition.bases:
        base = None if each.name in _NO_BASES else find(each.name)
        if base is None and each.name not in _NO_BASES:
            raise LispError(
                each.place,
                f"the class {each}, of which {definition.name} is a subclass, is not defined in "
                f"the file",
                "define it by defmodel, or hold a model of it in a slot",
            )
        if base is not None and (found is not None or not issubclass(base, LispModel)):
            raise LispError(
                each.place,
                f"{definition.name} is a subclass of {each} among others",
                "name one model that has slots",
            )
        found = base or found
    return found


def _made(
    evaluator: Evaluator,
    definition: ModelDefinition | ModuleDefinition | ClassDefinition,
    base: type[LispModel],
    arguments: LambdaList,
) -> type[LispModel]:
    attributes = dict(base.lisp_attributes)
    taken = {*dir(base), *LispModel.__annotations__, *attributes.values(), "self"}
    for each in definition.slots:
        if each.name.name not in attributes:
            attributes[each.name.name] = python_name(each.name, taken)
            taken.add(attributes[each.name.name])
    fields = {
        attributes[each.name.name]: _field(each, attributes[each.name.name], evaluator)
        for each in definition.slots
    }
    body = {
        "__doc__": definition.documentation or f"({definition.name} ...) of a Lisp file.",
        "__module__": __name__,
        "__init__": _init(arguments),
        "fill": _fill(definition, base),
        "evaluator": evaluator,
        "definition": definition,
        "arguments": arguments,
        "lisp_attributes": attributes,
    }
    made = type(class_name(definition.name), (base,), body)
    return attrs.define(made, these=fields, init=False)


def _field(each: ModelSlot, attribute: str, evaluator: Evaluator) -> Any:
    key = key_of(each.name)
    if is_cache(each, evaluator.places_set):
        return transient(key=None if key == attribute else key, alias=attribute)
    return attrs.field(alias=attribute) if key == attribute else slot(key=key, alias=attribute)


def _init(arguments: LambdaList) -> Any:
    def init(self: Any, *args: Any, **options: Any) -> None:
        name, place = type(self).__name__, self.definition.place
        self.fill(lisp_arguments(arguments, args, options, name, place))
        warn_of_dropped_state(self)

    parameters = signature_of(arguments).parameters.values()
    owner = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    init.__signature__ = inspect.Signature([owner, *parameters])  # type: ignore[attr-defined]
    return init


def _fill(
    definition: ModelDefinition | ModuleDefinition | ClassDefinition, base: type[LispModel]
) -> Any:
    def fill(self: LispModel, values: Any) -> None:
        if isinstance(definition, ModelDefinition):
            build_slots(self.evaluator, definition, self, self.lisp_attributes, values)
            return
        with self.evaluator.entered(definition.place):
            for each in definition.slots:
                value = slot_value_of(self.evaluator, each, Scope())
                setattr(self, self.lisp_attributes[each.name.name], value)
            if isinstance(definition, ModuleDefinition):
                name = str(definition.name)
                self.evaluator.bound(definition.arguments, values, Scope(), name)
            base.fill(self, values)

    return fill


def _sequence_class(evaluator: Evaluator, definition: SequenceDefinition) -> Any:
    body = {
        "__doc__": f"({definition.name} ...), a sequence of a Lisp file.",
        "__module__": __name__,
        "__init__": _init(definition.arguments),
        "evaluator": evaluator,
        "definition": definition,
        "arguments": definition.arguments,
    }
    made = type(class_name(definition.name), (LispSequence,), body)
    return attrs.define(made, these={"nodes": slot(key=key_of(definition.name))}, init=False)
