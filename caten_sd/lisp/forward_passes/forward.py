"""The forward passes of a file's models, run on torch tensors with gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.classes.model_classes import LispModel, LispSequence
from caten_sd.lisp.definitions.definition import CallDefinition, MethodDefinition
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.forward_passes.lisp_generic import ClassOf, LispGeneric
from caten_sd.lisp.forward_passes.lisp_method import LispMethod
from caten_sd.lisp.functions.lisp_values import Function, MultipleValues
from caten_sd.lisp.operators.built_in_calls import call_built_in
from caten_sd.lisp.operators.surroundings import surroundings
from caten_sd.objects.call import call
from caten_sd.objects.watching import observed

_CALL = "CALL"
_ONE_FUNCTION = {"FORWARD": _CALL}  # of a model these are the same


@call.register(LispModel)
def call_model(model: LispModel, *inputs: Any, **options: Any) -> Any:
    """Run the forward pass that the model's file defines."""
    return model.forward_pass.run(model, *inputs, **options)


@call.register(LispSequence)
def call_sequence(
    call_next_method: Function, model: LispSequence, *inputs: Any, **options: Any
) -> Any:
    """Run the nodes in order, unless the file defines another forward pass."""
    if model.forward_pass.is_defined(model, inputs):
        return model.forward_pass.run(model, *inputs, **options)
    return call_next_method(model, *inputs, **options)


class _Depth(threading.local):
    calls = 0


@attrs.define(eq=False)
class ForwardPass:
    """What the methods of a file define: ``call`` of its models, and other generic functions."""

    evaluator: Evaluator
    class_of: ClassOf
    _generics: dict[str, LispGeneric | None] = attrs.field(factory=dict)
    _depth: _Depth = attrs.field(factory=_Depth)

    def __deepcopy__(self, memo: object) -> ForwardPass:
        return self  # a model that is copied stays a model of the same file

    def function(self, name: str) -> Function | None:
        """Return the function that the file's methods define by a name, or None."""
        if name in (_CALL, *_ONE_FUNCTION):
            return partial(observed, self.call)
        return self.generic(name)

    def run(self, model: Any, *inputs: Any, **options: Any) -> Any:
        """Call a model from Python; several values are a tuple."""
        for name in options:
            raise LispError(
                model.definition.place,
                f"{type(model).__name__} was called with {name}=, and the inputs of a Lisp model "
                f"have no names in Python",
                "pass them by position",
            )
        with self._from_python(model, inputs):
            result = self.call(model, *inputs)
        return tuple(result) if isinstance(result, MultipleValues) else result

    def call(self, model: Any, *inputs: Any) -> Any:
        """Call a model by the methods of the file, or one of another place as Caten calls it."""
        generic = self.generic(_CALL)
        chain = None if generic is None else generic.chain((model, *inputs))
        if chain is not None:
            return chain(model, *inputs)
        if isinstance(model, LispModel) and model.forward_pass is self:
            name = type(model).__name__
            raise LispError(
                model.definition.place,
                f"the file defines no forward pass of {name}",
                f"add (defcall (model {name}) (X[~]) ...) to it",
            )
        return call_built_in(model, *inputs)

    def is_defined(self, model: Any, inputs: Sequence[Any]) -> bool:
        """Return whether the file has a method of ``call`` for a model and these inputs."""
        generic = self.generic(_CALL)
        return generic is not None and generic.chain((model, *inputs)) is not None

    def generic(self, name: str) -> LispGeneric | None:
        """Return the generic function of a name, or None if the file has no method of it."""
        if name not in self._generics:
            every = map(LispMethod.of, self._definitions(name))
            methods = {each.identity: each for each in every}
            own = LispGeneric(self.evaluator, name, tuple(methods.values()), self.class_of)
            self._generics[name] = own if methods else None
        return self._generics[name]

    def _definitions(self, name: str) -> Iterator[MethodDefinition | CallDefinition]:
        for each in self.evaluator.definitions.methods:
            own = _CALL if isinstance(each, CallDefinition) else each.name.name
            if _ONE_FUNCTION.get(own, own) == name:
                yield each

    @contextmanager
    def _from_python(self, model: Any, inputs: Sequence[Any]) -> Iterator[None]:
        """Give the outermost call its surroundings."""
        outermost = not self._depth.calls
        self._depth.calls += 1
        try:
            if not outermost:
                yield
                return
            with surroundings(model, inputs):
                yield
        finally:
            self._depth.calls -= 1
