"""Build an instance of a Lisp model: bind the arguments, evaluate the slots, run the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import ModelDefinition, ModelSlot, SequenceDefinition
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.functions.lists import Pair
from caten_sd.lisp.syntax.datum import Datum
from caten_sd.objects.extract import to_state_dict

MODEL_STEPS = 20  # what it costs to build a model, besides what its forms cost


def build_slots(
    evaluator: Evaluator,
    definition: ModelDefinition,
    instance: Any,
    attributes: Mapping[str, str],
    values: Sequence[Any],
) -> None:
    """Give an instance the slots of a ``defmodel``: each form sees the slots before it."""
    name = definition.name
    with evaluator.entered(definition.place):
        evaluator.spend(MODEL_STEPS, definition.place)
        scope = evaluator.bound(definition.arguments, values, Scope(), str(name))
        for slot in definition.slots:
            value = slot_value_of(evaluator, slot, scope)
            scope = scope.then(slot.name.name, value)
        for slot in definition.slots:
            holder = scope.holder(slot.name.name)
            assert holder is not None
            setattr(instance, attributes[slot.name.name], holder.variables[slot.name.name])
        evaluator.body(definition.body, scope.inner({name.name: instance}))


def slot_value_of(evaluator: Evaluator, slot: ModelSlot, scope: Scope) -> Any:
    """Return the value of a slot; LispError for a pair that holds state, as in Caten."""
    value = None if slot.form is None else evaluator.value(slot.form, scope)
    if isinstance(value, Pair) and to_state_dict(list(value), []):
        raise LispError(
            slot.place,
            f"the slot {slot.name} is a pair of {text_of(value.car, 30)} and "
            f"{text_of(value.cdr, 30)}, whose state Caten cannot list",
            "write (list a b) for (cons a b)",
        )
    return value


def build_nodes(
    evaluator: Evaluator, definition: SequenceDefinition, values: Sequence[Any]
) -> list[Any]:
    """Return the nodes of a ``defsequence``; LispError for one that cannot be called."""
    with evaluator.entered(definition.place):
        evaluator.spend(MODEL_STEPS, definition.place)
        name = str(definition.name)
        scope = evaluator.bound(definition.arguments, values, Scope(), name)
        return [_node(evaluator, each, scope, name) for each in definition.nodes]


def _node(evaluator: Evaluator, datum: Datum, scope: Scope, name: str) -> Any:
    value = evaluator.value(datum, scope)
    if not callable(value):
        raise LispError(
            datum.place,
            f"a node of the sequence {name} is {text_of(value)}, which cannot be called",
            "write a model, or (asnode #'function)",
        )
    return value
