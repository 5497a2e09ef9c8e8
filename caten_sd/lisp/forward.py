"""The forward passes of a file's models, run on torch tensors with gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.datum import Symbol
from caten_sd.lisp.definitions import CallDefinition, MethodDefinition
from caten_sd.lisp.evaluation import Evaluator
from caten_sd.lisp.lisp_generic import ClassOf, LispGeneric
from caten_sd.lisp.lisp_method import LispMethod
from caten_sd.lisp.model_classes import LispModel
from caten_sd.lisp.operators.built_in_calls import call_built_in
from caten_sd.lisp.operators.surroundings import surroundings
from caten_sd.lisp.scopes import Function, MultipleValues
from caten_sd.objects.call import call

_CALL = "CALL"
_ONE_FUNCTION = {"FORWARD": _CALL}  # of a model these are the same


@call.register(LispModel)
def refuse(model: LispModel, *inputs: Any, **options: Any) -> Any:
    """Refuse to call a model whose file says nothing of it."""
    name = type(model).__name__
    raise LispError(
        model.definition.place,
        f"the file defines no forward pass of {name}",
        f"add (defcall (model {name}) (X[~]) ...) to it",
    )


class _Depth(threading.local):
    calls = 0


@attrs.define(eq=False)
class ForwardPass:
    """What the methods of a file define: ``call`` of its models, and other generic functions."""

    evaluator: Evaluator
    class_of: ClassOf
    _generics: dict[str, LispGeneric | None] = attrs.field(factory=dict)
    _depth: _Depth = attrs.field(factory=_Depth)

    def function(self, name: str) -> Function | None:
        """Return the function that the file's methods define by a name, or None."""
        if name in (_CALL, *_ONE_FUNCTION):
            return self.call
        return self.generic(name)

    def install(self, model: type, name: str) -> None:
        """Give the class of a model its forward pass, if the file defines one for its name."""
        if any(_is_for(each, name) for each in self._definitions(_CALL)):
            call.register(model)(self.run)

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
        return call_built_in(model, *inputs)

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


def _is_for(definition: MethodDefinition | CallDefinition, name: str) -> bool:
    if isinstance(definition, CallDefinition):
        return definition.model.name == name
    specializers = [each.specializer for each in definition.arguments.of_kind("required")]
    first = specializers[0] if specializers else None
    return isinstance(first, Symbol) and first.name == name
