"""All that a Lisp file may use without defining it: special forms, functions, constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from caten_sd.lisp.classes import tensors
from caten_sd.lisp.classes.caches import places_set
from caten_sd.lisp.classes.constructors import CONSTRUCTORS, Constructor
from caten_sd.lisp.classes.model_building import MODEL_STEPS
from caten_sd.lisp.classes.nodes import asnode
from caten_sd.lisp.definitions.definition import Definitions, MethodDefinition
from caten_sd.lisp.evaluation.closures import defined_functions
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.forward_passes import shape_checks
from caten_sd.lisp.functions import arithmetic, destructive, lists, predicates, rounding, sequences
from caten_sd.lisp.functions.lisp_values import Function, MultipleValues
from caten_sd.lisp.operators.all_operators import OPERATORS
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.special_forms import (
    assignment,
    binding_forms,
    control,
    instances,
    loops,
    quotation,
)
from caten_sd.lisp.syntax.datum import KEYWORD, Symbol

SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    **quotation.SPECIAL_FORMS,
    **control.SPECIAL_FORMS,
    **binding_forms.SPECIAL_FORMS,
    **assignment.SPECIAL_FORMS,
    **loops.SPECIAL_FORMS,
    **instances.SPECIAL_FORMS,
    **shape_checks.SPECIAL_FORMS,
}
FUNCTIONS: Mapping[str, Function] = {
    **arithmetic.FUNCTIONS,
    **rounding.FUNCTIONS,
    **lists.FUNCTIONS,
    **predicates.FUNCTIONS,
    **destructive.FUNCTIONS,
    **sequences.FUNCTIONS,
    **instances.FUNCTIONS,
    **tensors.FUNCTIONS,
    "ASNODE": asnode,
}
SETTERS: Mapping[str, Function] = {**assignment.SETTERS, **instances.SETTERS}
CONSTANTS: Mapping[str, Any] = {
    "NIL": None,
    "T": True,
    "PI": math.pi,
    "*DEFAULT-FLOAT*": Symbol("FLOAT32", "float32", KEYWORD),
    "*DEFAULT-INT*": Symbol("INT64", "int64", KEYWORD),
    "*DEFAULT-ORDER*": Symbol("ROW", "row", KEYWORD),
    "*INFERENCE-MODE*": None,
    "*NO-GRAD*": None,
}


_BLOCK_STEPS = 10 * MODEL_STEPS  # of a layer of a Transformer, which is ten models or so


@attrs.frozen(eq=False, repr=False)
class OperatorFunction:
    """An operator as a function of Lisp; several results are several values."""

    operator: Operator

    def __repr__(self) -> str:
        return f"#'{self.operator.name.lower()}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _operator, (self.operator.name,)

    def __call__(self, *arguments: Any) -> Any:
        """Apply the operator."""
        found = self.operator.apply(arguments)
        return MultipleValues(found) if isinstance(found, tuple) else found


def _operator(name: str) -> OperatorFunction:
    return OperatorFunction(OPERATORS[name])


@attrs.frozen(eq=False, repr=False)
class ModelFunction:
    """One of Caten's own models as a function of Lisp."""

    constructor: Constructor
    evaluator: Evaluator

    def __call__(self, *arguments: Any) -> Any:
        """Build the model."""
        name, place = self.constructor.name, self.evaluator.place
        scope = self.evaluator.bound(self.constructor.arguments, arguments, Scope(), name)
        layers = scope.variables.get("N-LAYERS", 0)
        blocks = layers if isinstance(layers, int) else 0
        self.evaluator.spend(MODEL_STEPS + _BLOCK_STEPS * max(blocks, 0), place)
        return self.constructor.build(scope.variables)

    def __repr__(self) -> str:
        return f"#'{self.constructor.name}"

    def __deepcopy__(self, memo: object) -> ModelFunction:
        return self


def evaluator_of(definitions: Definitions, models: Callable[[str], Function | None]) -> Evaluator:
    """Return the evaluator of a file, whose own models ``models`` finds by name."""
    evaluator = Evaluator(definitions, SPECIAL_FORMS, CONSTANTS, sequences.DESIGNATORS)
    readers, setters = instances.accessors(evaluator)
    built_in = {name: ModelFunction(each, evaluator) for name, each in CONSTRUCTORS.items()}
    operators = {name: OperatorFunction(each) for name, each in OPERATORS.items()}
    tables: list[Mapping[str, Function]] = [readers, FUNCTIONS, built_in, operators]
    evaluator.resolvers += [models, defined_functions(evaluator), *(each.get for each in tables)]
    evaluator.setters += [setters.get, SETTERS.get]
    written = {name: each.name for name, each in CONSTRUCTORS.items()}
    own = {**definitions.functions, **definitions.models}
    written |= {name: each.name.spelling for name, each in own.items()}
    evaluator.places_set = places_set(definitions)
    methods = [each for each in definitions.methods if isinstance(each, MethodDefinition)]
    names = {"CALL", "FORWARD", *(each.name.name for each in methods), *own}.union(*tables)
    evaluator.known = {name: written.get(name, name.lower()) for name in names}
    return evaluator
