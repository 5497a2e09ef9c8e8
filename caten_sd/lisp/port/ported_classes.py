"""The names that the definitions of a file have in the module that is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import attrs

from caten_sd.lisp.definitions.class_bases import refuse_base
from caten_sd.lisp.definitions.definition import (
    CallDefinition,
    ClassDefinition,
    ClassLike,
    Definitions,
    FunctionDefinition,
    MethodDefinition,
    ModelSlot,
    SequenceDefinition,
)
from caten_sd.lisp.definitions.lambda_lists import LambdaList
from caten_sd.lisp.definitions.names import class_name, python_name
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.syntax.datum import Symbol
from caten_sd.nn.module import Module

_FUNCTIONS = {"abs", "all", "any", "enumerate", "float", "int", "isinstance", "len", "list", "max"}
_FUNCTIONS |= {"min", "range", "round", "sum", "super", "tuple", "zip"}
_RESERVED = {"attrs", "torch", "math", "call", "functional", "model", "output", "Tensor", "Any"}
_RESERVED |= {"warnings"}
# What a class of the module needs from elsewhere, and may not be called itself.
_HOMES_OF_CLASSES = {"Module", "Sequential", "Parameter", "Callable", "Fraction", "Size", "slot"}
_HOMES_OF_CLASSES |= {"transient", "cut_caches", "ModelError", "None", "True", "False", *_FUNCTIONS}


@attrs.define(eq=False)
class PortedClass:
    """A class that is written for a model, with the attributes of its slots."""

    name: str
    definition: ClassLike
    arguments: LambdaList
    base: PortedClass | None = None
    attributes: dict[str, str] = attrs.field(factory=dict)
    own: set[str] = attrs.field(factory=set)  # attributes of the slots that it declares itself
    forward_name: str = ""  # of the function that is its forward pass
    methods: list[CallDefinition | MethodDefinition] = attrs.field(factory=list)

    @property
    def slots(self) -> tuple[ModelSlot, ...]:
        """The slots that it declares itself."""
        definition = self.definition
        return () if isinstance(definition, SequenceDefinition) else definition.slots

    def owner_of(self, attribute: str) -> PortedClass:
        """Return the class that declares a slot: this one, or the base that has it."""
        base = self.base
        return self if base is None or attribute in self.own else base.owner_of(attribute)

    def argument_fact(self, name: str) -> str:
        """Return the name under which the type of a constructor's argument is found out."""
        return f"{self.name}({name})"

    def slot_fact(self, attribute: str) -> str:
        """Return the name under which the type of a slot is found out."""
        return f"{self.owner_of(attribute).name}.{attribute}"

    def input_fact(self, at: int) -> str:
        """Return the name under which the type of an input of a call is found out."""
        return f"call {self.name}[{at}]"

    @property
    def output_fact(self) -> str:
        """The name under which the type of what a call gives is found out."""
        return f"call {self.name} ->"

    @property
    def forward_owner(self) -> PortedClass | None:
        """The class whose forward pass it has: its own or a base's; None if there is none."""
        if self.methods:
            return self
        return None if self.base is None else self.base.forward_owner


@attrs.define(eq=False)
class PortedFunction:
    """A function that is written for a ``defun``, a method or a local function."""

    name: str
    arguments: LambdaList

    def argument_fact(self, name: str) -> str:
        """Return the name under which the type of an argument is found out."""
        return f"{self.name}@{self.arguments.place}({name})"

    @property
    def result_fact(self) -> str:
        """The name under which the type of its result is found out."""
        return f"{self.name}@{self.arguments.place} ->"


@attrs.define(eq=False)
class PortedNames:
    """All that the module defines, by the names in Lisp."""

    classes: dict[str, PortedClass]
    functions: dict[str, PortedFunction]
    variables: dict[str, str]
    readers: dict[str, str]
    accessors: dict[str, str]
    reserved: set[str]  # what no variable may be called
    evaluator: Evaluator  # which knows all names that the file may use

    def require_function(self, symbol: Symbol, local: Iterable[str]) -> None:
        """Raise LispError, with the nearest names, for a function that nothing defines."""
        known = {*local, *self.evaluator.known, *self.evaluator.special_forms}
        if symbol.name not in known:
            raise self.evaluator.unknown(symbol, "function", known)

    def require_variable(self, symbol: Symbol, local: Iterable[str]) -> None:
        """Raise LispError, with the nearest names, for a variable that nothing defines."""
        known = {*local, *self.variables}
        if symbol.name not in self.evaluator.constants.keys() | known:
            raise self.evaluator.unknown(symbol, "variable", known)


def ported_names(definitions: Definitions, evaluator: Evaluator) -> PortedNames:
    """Return the names of a module for these definitions."""
    classes: dict[str, PortedClass] = {}
    for each in definitions.models.values():
        _add_class(each, definitions, classes)
    for method in definitions.methods:
        if (owner := called_model(method, classes)) is not None:
            owner.methods.append(method)
    taken = {*_RESERVED, *(each.name for each in classes.values())}
    reserved = {*taken, *_FUNCTIONS}
    for model in classes.values():
        if model.methods:
            model.forward_name = _fresh(snake_case(model.name), taken)
            taken.add(model.forward_name)
    variables: dict[str, str] = {}
    for name, variable in definitions.variables.items():
        variables[name] = python_name(variable.name, taken).upper()
        taken.add(variables[name])
    functions: dict[str, PortedFunction] = {}
    own: list[FunctionDefinition | MethodDefinition] = list(definitions.functions.values())
    for function in (*own, *_own_generics(definitions)):
        name = python_name(function.name, taken)
        functions[function.name.name] = PortedFunction(name, function.arguments)
        taken.add(name)
    readers, accessors = _accessors(classes)
    return PortedNames(classes, functions, variables, readers, accessors, reserved, evaluator)


def _add_class(
    definition: ClassLike,
    definitions: Definitions,
    classes: dict[str, PortedClass],
    subclasses: tuple[str, ...] = (),
) -> PortedClass:
    name = definition.name.name
    if name in classes:
        return classes[name]
    refuse_base(definition, subclasses)
    base, arguments = None, LambdaList(())
    if isinstance(definition, ClassDefinition):
        for each in definition.bases:
            if (found := definitions.models.get(each.name)) is not None:
                base = _add_class(found, definitions, classes, (*subclasses, name))
                arguments = base.arguments
    else:
        arguments = definition.arguments
    used = {*_RESERVED, *_HOMES_OF_CLASSES, *(each.name for each in classes.values())}
    made = PortedClass(_fresh(class_name(definition.name), used), definition, arguments, base)
    made.attributes = {} if base is None else dict(base.attributes)
    taken = {*dir(Module), "self", *made.attributes.values()}
    for slot in made.slots:
        if slot.name.name not in made.attributes:
            made.attributes[slot.name.name] = python_name(slot.name, taken)
            taken.add(made.attributes[slot.name.name])
        made.own.add(made.attributes[slot.name.name])
    classes[name] = made
    return made


def _fresh(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: with an underscore after it if it is."""
    while name in taken:
        name += "_"
    return name


def called_model(
    method: CallDefinition | MethodDefinition, classes: dict[str, PortedClass]
) -> PortedClass | None:
    """Return the model whose forward pass a method is, or None if it is another function."""
    if isinstance(method, CallDefinition):
        return classes.get(method.model.name)
    if method.name.name not in ("CALL", "FORWARD"):
        return None
    required = method.arguments.of_kind("required")
    first = required[0].specializer if required else None
    return classes.get(first.name) if isinstance(first, Symbol) else None


def _own_generics(definitions: Definitions) -> Iterator[MethodDefinition]:
    """Yield the methods that are the only one of their name, so that they are functions."""
    methods = [each for each in definitions.methods if isinstance(each, MethodDefinition)]
    names = [each.name.name for each in methods]
    for each in methods:
        name = each.name.name
        if name not in ("CALL", "FORWARD") and names.count(name) == 1 and not each.qualifiers:
            yield each


def _accessors(classes: dict[str, PortedClass]) -> tuple[dict[str, str], dict[str, str]]:
    readers: dict[str, str] = {}
    accessors: dict[str, str] = {}
    for model in classes.values():
        for slot in model.slots:
            attribute = model.attributes[slot.name.name]
            readers |= {each.name: attribute for each in (*slot.readers, *slot.accessors)}
            accessors |= {each.name: attribute for each in slot.accessors}
    return readers, accessors


def snake_case(name: str) -> str:
    """Return the name of a class as that of a function.

    >>> snake_case("TransformerBlock"), snake_case("RMSNorm"), snake_case("MLP")
    ('transformer_block', 'rms_norm', 'mlp')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
