"""Classes: one for each model, with a typed field for each slot and a line that sets it."""

from __future__ import annotations

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.classes.caches import is_cache
from caten_sd.lisp.definitions.definition import (
    ClassDefinition,
    ModelDefinition,
    ModelSlot,
    SequenceDefinition,
)
from caten_sd.lisp.definitions.names import key_of
from caten_sd.lisp.port.facts import NUMBER
from caten_sd.lisp.port.function_text import parameters
from caten_sd.lisp.port.ported_classes import PortedClass
from caten_sd.lisp.port.python_text.expressions import NIL, Expression, text_literal
from caten_sd.lisp.port.python_text.python_types import ANY, NONE, optional
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator
from caten_sd.lisp.port.untranslated import as_sentence
from caten_sd.lisp.syntax.datum import Datum, Form, SourcePlace, Symbol, walk_data


def class_block(
    translator: Translator, model: PortedClass, places: frozenset[str], documentation: str
) -> None:
    """Write the class of a model."""
    translator.imports.use("attrs", "")
    body, fields = Suite(), Suite()
    body.add(documentation)
    init = _init(translator, model)
    for each in model.slots:
        fields.add(_field(translator, model, each, places))
    if isinstance(model.definition, SequenceDefinition):
        fields.add(_nodes(translator, model))
    if fields.lines:
        body.lines += [*_blank(), *fields.lines]
    if init is not None:
        body.lines += _blank()
        body.block(*init)
    base = "Sequential" if isinstance(model.definition, SequenceDefinition) else "Module"
    base = translator.imports.use("caten_sd.nn", base) if model.base is None else model.base.name
    translator.suite.add("@attrs.define(init=False)")
    translator.suite.block(f"class {model.name}({base}):", body)


def refusing_class(
    translator: Translator, model: PortedClass, documentation: str, refusal: str
) -> None:
    """Write a class that cannot be made, in the place of one that is not translated."""
    translator.imports.use("attrs", "")
    base = translator.imports.use("caten_sd.nn", "Module")
    any_ = translator.annotation("Any")
    init, body = Suite(), Suite()
    init.add(refusal)
    body.add(documentation)
    body.add("")
    body.block(f"def __init__(self, *arguments: {any_}, **options: {any_}) -> None:", init)
    translator.suite.add("@attrs.define(init=False)")
    translator.suite.block(f"class {model.name}({base}):", body)


def _blank() -> list[Suite]:
    blank = Suite()
    blank.add("")
    return list(blank.lines)  # type: ignore[arg-type]


def _field(
    translator: Translator, model: PortedClass, slot: ModelSlot, places: frozenset[str]
) -> str:
    attribute, key = model.attributes[slot.name.name], key_of(slot.name)
    fact = model.slot_fact(attribute)
    type_ = ANY if translator.facts.is_missing(fact) else translator.facts.type_of(fact)
    shown = translator.annotation(optional(type_) if type_ == NONE else type_)
    options = [f"key={text_literal(key)}"] if key != attribute else []
    if is_cache(slot, places):
        use = translator.imports.use("caten_sd.nn", "transient")
        return f"{attribute}: {shown} = {use}({', '.join(options)})"
    if not options:
        return f"{attribute}: {shown}"
    return f"{attribute}: {shown} = {translator.imports.use('caten_sd', 'slot')}({options[0]})"


def _nodes(translator: Translator, model: PortedClass) -> str:
    use = translator.imports.use("caten_sd.nn", "slot")
    type_ = translator.annotation("list[Callable[..., Any]]")
    return f"nodes: {type_} = {use}(key={text_literal(key_of(model.definition.name))})"


def _init(translator: Translator, model: PortedClass) -> tuple[str, Suite] | None:
    """Return the constructor, or None for a class that has nothing to set."""
    definition = model.definition
    own = attrs.evolve(
        translator,
        suite=Suite(),
        result_fact=f"{model.name}()",
        taken={"self"},
        scope={},
        functions={},
        known=set(),
        pinned=set(),
        lists={},
        builds=True,
    )
    if isinstance(definition, ClassDefinition):
        return _init_of_subclass(own, model)
    texts = ["self", *parameters(own, model.arguments, model.argument_fact)]
    if isinstance(definition, SequenceDefinition):
        nodes = [_node(own, each, at) for at, each in enumerate(definition.nodes)]
        own.suite.add(f"super().__init__({', '.join(nodes)})")
    else:
        if not isinstance(definition, ModelDefinition):  # the slots of a module see no argument
            own.scope = {}
        _set_slots(own, model)
        if isinstance(definition, ModelDefinition):
            _run_body(own, model, definition)
    own.suite.prune()
    if len(texts) == 1 and not own.suite.lines:
        return None
    return f"def __init__({', '.join(texts)}) -> None:", own.suite


def _init_of_subclass(own: Translator, model: PortedClass) -> tuple[str, Suite] | None:
    if not model.slots:
        return None
    if model.base is None:
        _set_slots(own, model)
        return "def __init__(self) -> None:", own.suite
    _set_slots(own, model)
    own.suite.add("super().__init__(*arguments, **options)")
    any_ = own.annotation("Any")
    return f"def __init__(self, *arguments: {any_}, **options: {any_}) -> None:", own.suite


def _set_slots(own: Translator, model: PortedClass) -> None:
    """Set the slots in order; the form of each sees the slots before it."""
    for slot in model.slots:
        attribute = model.attributes[slot.name.name]
        fact, text = model.slot_fact(attribute), f"self.{attribute}"
        found = _slot_value(own, slot, fact)
        own.suite.add(f"{text} = {found.text}")
        if own.facts.is_missing(fact):
            _warn(own, slot.place, f"{model.name} has no state for its slot {slot.name}: ")
        own.learn(text, found)
        hidden = own.scope.get(slot.name.name)
        if hidden is None or hidden.text != found.text:
            own.scope[slot.name.name] = Expression(text, found.type, fact=fact)


def _slot_value(own: Translator, slot: ModelSlot, fact: str) -> Expression:
    """Return the value of a slot; None, with a comment, for one that is not translated."""
    needed = own.facts.needed.get(fact, "")
    try:
        with own.attempt():
            want = "" if needed == NUMBER else needed
            found = NIL if slot.form is None else own.value(slot.form, want)
            _refuse_pair(own, slot, found)
    except (LispError, RecursionError) as error:
        own.untranslated.say(own.suite, as_sentence(slot.place, error))
        own.facts.miss(fact)
        return NIL
    own.facts.flow(fact, found)
    return found


def _refuse_pair(own: Translator, slot: ModelSlot, found: Expression) -> None:
    if slot.form is not None and found.pair and not found.is_plain:
        why = "Caten cannot list the state of a pair; write (list a b)"
        raise own.untranslatable(slot.form, why)


def _warn(own: Translator, place: SourcePlace, lacking: str) -> None:
    """Write the warning of a model that is made without a part of it."""
    sentence = own.untranslated.sentence(place, before=lacking)
    own.suite.add(f"{own.imports.use('warnings', '')}.warn({sentence}, stacklevel=2)")


def _node(own: Translator, datum: Datum, at: int) -> str:
    """Return a node of a sequence; one that is not translated keeps its place, and refuses."""
    try:
        with own.attempt():
            return own.value(datum).text
    except (LispError, RecursionError) as error:
        own.untranslated.say(own.suite, as_sentence(datum.place, error))
    name, body = own.fresh(f"node_{at}"), Suite()
    body.add(own.untranslated.refusal(datum.place))
    any_ = own.annotation("Any")
    own.suite.block(f"def {name}(*inputs: {any_}) -> {any_}:", body)
    own.suite.add("")
    if not (isinstance(datum, Form) and datum.head == "ASNODE"):
        _warn(own, datum.place, f"node {at} has no state: ")
    return name


def _run_body(own: Translator, model: PortedClass, definition: ModelDefinition) -> None:
    """Run what follows the slots; a variable that it sets is not the slot of that name."""
    own.scope[definition.name.name] = Expression("self", model.name)
    for name in _set_variables(definition):
        if name in own.scope and own.scope[name].text.startswith("self."):
            symbol = next(each.name for each in definition.slots if each.name.name == name)
            own.bind(symbol, own.scope[name], last=False)
    for form in definition.body:
        try:
            with own.attempt():
                own.discard(form)
        except (LispError, RecursionError) as error:
            own.untranslated.say(own.suite, as_sentence(form.place, error))
            _warn(own, form.place, f"{model.name} lacks what follows its slots: ")


def _set_variables(definition: ModelDefinition) -> set[str]:
    return {
        place.name
        for form in definition.body
        for each in walk_data(form)
        if isinstance(each, Form) and each.head in ("SETF", "SETQ")
        for place in each.rest[::2]
        if isinstance(place, Symbol)
    }
