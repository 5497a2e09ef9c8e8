"""A method of a file: what it is for, and how it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import CallDefinition, MethodDefinition
from caten_sd.lisp.evaluation.closures import Closure
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import BlockExit, Scope
from caten_sd.lisp.forward_passes.input_shapes import bind_inputs, input_shapes
from caten_sd.lisp.functions.lisp_values import Function
from caten_sd.lisp.syntax.datum import Datum, brief

QUALIFIERS = ("", "AROUND", "BEFORE", "AFTER")


@attrs.frozen(eq=False)
class LispMethod:
    """A ``defmethod`` or a ``defcall``, which is a method of ``call`` with checked inputs."""

    definition: MethodDefinition | CallDefinition
    qualifier: str
    specializers: tuple[Datum | None, ...]

    @classmethod
    def of(cls, definition: MethodDefinition | CallDefinition) -> LispMethod:
        """Return the method that a definition is; LispError for an unknown qualifier."""
        if isinstance(definition, CallDefinition):
            return cls(definition, "", (definition.model,))
        required = definition.arguments.of_kind("required")
        specializers = tuple(each.specializer for each in required)
        return cls(definition, _qualifier(definition), specializers)

    @property
    def identity(self) -> tuple[object, ...]:
        """What a later method has to share with this one to take its place."""
        return self.qualifier, *("T" if each is None else brief(each) for each in self.specializers)

    def run(
        self, evaluator: Evaluator, values: Sequence[Any], functions: Mapping[str, Function]
    ) -> Any:
        """Run the method with further local functions, such as ``call-next-method``."""
        scope = Scope(functions=dict(functions))
        definition = self.definition
        if isinstance(definition, MethodDefinition):
            name = definition.name.name
            return Closure(evaluator, name, definition.arguments, definition.body, scope)(*values)
        return self._run_call(evaluator, definition, values, scope)

    def _run_call(
        self, evaluator: Evaluator, definition: CallDefinition, values: Sequence[Any], scope: Scope
    ) -> Any:
        instance, *inputs = values
        called = definition.model.spelling
        declared = input_shapes(definition.shapes)
        bound = bind_inputs(declared, inputs, called, definition.place)
        scope.variables.update({definition.instance.name: instance, **bound})
        block = object()
        scope.blocks.update(CALL=block, FORWARD=block)
        with evaluator.entered(definition.place):
            try:
                return evaluator.body(definition.body, scope)
            except BlockExit as end:
                if end.block is not block:
                    raise
                return end.value

    def __str__(self) -> str:
        return f"({' '.join('t' if each is None else brief(each) for each in self.specializers)})"


def _qualifier(definition: MethodDefinition) -> str:
    names = [each.name for each in definition.qualifiers]
    if len(names) > 1 or not {*names} <= {*QUALIFIERS}:
        raise LispError(
            definition.place,
            f"a method of {definition.name} is qualified by {' '.join(names).lower()}",
            "use :around, :before or :after, or remove it",
        )
    return names[0] if names else ""
