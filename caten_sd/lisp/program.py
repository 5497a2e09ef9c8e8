"""The definitions of a file as something that can be run; torch is imported when it is."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import attrs

from caten_sd.errors import LispError, ModelError
from caten_sd.lisp.definitions.class_bases import refuse_base
from caten_sd.lisp.definitions.definition import ClassLike, Definitions
from caten_sd.lisp.definitions.source_text import LispSource, named_source
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.syntax.datum import Datum, Symbol, brief

if TYPE_CHECKING:
    from caten_sd.lisp.forward_passes.forward import ForwardPass


@attrs.define(eq=False, repr=False)
class LispProgram:
    """The evaluator of a file and the classes of its models, each made when it is first used."""

    source: LispSource
    _passes: list[ForwardPass] = attrs.field(factory=list)
    _classes: dict[str, Any] = attrs.field(factory=dict)
    _begun: set[str] = attrs.field(factory=set)  # the classes that are being made
    _lock: Any = attrs.field(factory=threading.RLock)  # so that all threads get one class

    def __deepcopy__(self, memo: object) -> LispProgram:
        return self

    @property
    def definitions(self) -> Definitions:
        """The definitions of the file, by their kinds."""
        return self.source.by_kind

    def reference(self, name: str) -> tuple[Any, tuple[str, str, str]]:
        """Return the function and the arguments that make an empty instance of a model."""
        return empty_instance, (self.source.name, self.source.text, name)

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator of the file's forms."""
        return self._forward.evaluator

    @property
    def _forward(self) -> ForwardPass:
        """What the methods of the file define, and the evaluator that has them."""
        with self._lock:
            if not self._passes:
                from caten_sd.lisp.forward_passes.forward import ForwardPass
                from caten_sd.lisp.vocabulary import evaluator_of

                evaluator = evaluator_of(self.definitions, self._constructor)
                self._passes.append(ForwardPass(evaluator, self._specializer))
                evaluator.resolvers.insert(0, self._passes[0].function)
            return self._passes[0]

    def class_named(self, name: str) -> Any:
        """Return the class of a model by its folded name, or None if the file defines no such."""
        definition = self.definitions.models.get(name)
        if definition is None or name in self._classes:
            return self._classes.get(name)
        with self._lock:
            if name not in self._classes:
                self._classes[name] = made = self._made(definition)
                made.forward_pass, made.program = self._forward, self
            return self._classes[name]

    def _made(self, definition: ClassLike) -> Any:
        from caten_sd.lisp.classes.model_classes import class_of

        name = definition.name.name
        refuse_base(definition, self._begun)
        self._begun.add(name)
        try:
            return class_of(self.evaluator, definition, self.class_named)
        finally:
            self._begun.discard(name)

    def _specializer(self, name: str) -> Any:
        """Return the class that a method names, one of the file or of Caten's; None if neither."""
        from caten_sd.lisp.classes.constructors import CONSTRUCTORS

        own = self.class_named(name)
        if own is not None or name not in CONSTRUCTORS:
            return own
        model = CONSTRUCTORS[name].model
        return model if isinstance(model, type) else None

    def _constructor(self, name: str) -> Function | None:
        if name == "MAKE-INSTANCE":
            return self._instance
        made = self.class_named(name)
        return None if made is None else made.build

    def _instance(self, symbol: Any, *options: Any) -> Any:
        name = symbol.name if isinstance(symbol, Symbol) else ""
        made = self.class_named(name)
        if made is None or not hasattr(made, "instance"):
            raise ModelError(
                f"{text_of(symbol)} is not a class of the file; name one, or call its constructor"
            )
        return made.instance(*options)

    def built(self, datum: Datum) -> Any:
        """Return the model that a form gives; LispError if it gives something else."""
        from caten_sd.lisp.classes.dropped_state import warn_of_dropped_state
        from caten_sd.nn.module import Module

        model = self.evaluator.value(datum, Scope())
        if not isinstance(model, Module):
            raise LispError(
                datum.place,
                f"{brief(datum)} gives {text_of(model)}, which is not a model",
                "call a model, as (Linear 3 2)",
            )
        warn_of_dropped_state(model)
        return model


def empty_instance(source: str, text: str, name: str) -> Any:
    """Return an instance without values of a model of a text, as a pickle asks for it.

    All models of one text have the classes of one program, as long as it is among the last ones.
    """
    made = _program(source, text).class_named(name)
    return made.__new__(made)


@functools.lru_cache(maxsize=16)
def _program(source: str, text: str) -> LispProgram:
    return LispProgram(named_source(source, text))
