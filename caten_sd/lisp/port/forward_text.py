"""Forward passes: one function for each model, registered as its ``call``."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from caten_sd.lisp.classes.caches import is_cache
from caten_sd.lisp.definitions.definition import CallDefinition, MethodDefinition
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.forward_passes.input_shapes import InputShape, input_shapes
from caten_sd.lisp.port.forms.list_forms import variables_of
from caten_sd.lisp.port.function_text import device_of, finish
from caten_sd.lisp.port.ported_classes import PortedClass
from caten_sd.lisp.port.python_text.expressions import NIL, Expression, listed
from caten_sd.lisp.port.python_text.python_types import NONE, is_optional, optional
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, walk_data


def forward_block(
    translator: Translator,
    model: PortedClass,
    method: CallDefinition | MethodDefinition,
    places: frozenset[str],
    documentation: str,
) -> None:
    """Write the forward pass of a model."""
    name = model.forward_name
    own = attrs.evolve(
        translator,
        suite=Suite(),
        result_fact=model.output_fact,
        blocks=frozenset({"CALL", "FORWARD"}),
        taken={"model"},
        scope={},
        functions={},
        known=set(),
        pinned=set(),
        lists={},
    )
    if isinstance(method, CallDefinition):
        texts = _declared_inputs(own, model, method)
    else:
        texts = _inputs(own, model, method)
    own.device = device_of(own)
    own.body(method.body, own.answer)
    finish(own, documentation)
    result = own.annotation(own.facts.type_of(model.output_fact))
    call = own.imports.use("caten_sd.nn", "call")
    translator.suite.add(f"@{call}.register({model.name})")
    inputs = ", ".join([f"model: {model.name}", *texts])
    translator.suite.block(f"def {name}({inputs}) -> {result}:", own.suite)
    _cut_caches(translator, model, places)


def refusing_forward(
    translator: Translator, model: PortedClass, refusal: str, documentation: str
) -> None:
    """Write a forward pass that cannot be called, in the place of one that is not translated."""
    call, any_ = translator.imports.use("caten_sd.nn", "call"), translator.annotation("Any")
    body = Suite()
    body.add(documentation)
    body.add(refusal)
    inputs = f"model: {model.name}, *inputs: {any_}, **options: {any_}"
    translator.suite.add(f"@{call}.register({model.name})")
    translator.suite.block(f"def {model.forward_name}({inputs}) -> {any_}:", body)


def _cut_caches(translator: Translator, model: PortedClass, places: frozenset[str]) -> None:
    """Let the tensors that a call leaves in caches keep no gradient."""
    types = [
        translator.facts.type_of(model.slot_fact(model.attributes[each.name.name]))
        for each in model.slots
        if is_cache(each, places)
    ]
    if not any(each.startswith("Tensor") for each in types):
        return
    use = translator.imports.use("caten_sd.nn", "cut_caches")
    translator.suite.add("")
    translator.suite.add("")
    for when in ("before", "after"):
        translator.suite.add(f"call.{when}({model.name})({use})")


def _bind_input(own: Translator, model: PortedClass, at: int, lisp: str, name: str) -> Expression:
    fact = model.input_fact(at)
    found = Expression(name, own.facts.type_of(fact), fact=fact)
    if lisp:
        own.scope[lisp] = found
    own.taken.add(name)
    if not is_optional(found.type):
        own.known.add(name)
    return found


def _parameter(own: Translator, found: Expression, *, may_lack: bool) -> str:
    type_ = found.type if found.type not in ("", NONE) else "Tensor"
    if not may_lack:
        return f"{found.text}: {own.annotation(type_)}"
    return f"{found.text}: {own.annotation(optional(type_))} = None"


# Inputs with shapes


def _declared_inputs(own: Translator, model: PortedClass, method: CallDefinition) -> list[str]:
    own.scope[method.instance.name] = Expression("model", model.name)
    shapes = input_shapes(method.shapes)
    texts = []
    for at, shape in enumerate(shapes):
        own.facts.give(model.input_fact(at), "int" if shape.is_scalar else "Tensor")
        name = own.fresh(python_name(Symbol(shape.name, shape.name)))
        found = _bind_input(own, model, at, shape.name, name)
        texts.append(_parameter(own, found, may_lack=False))
    if shapes:
        own.suite.add(f"# {'; '.join(_shape_text(own, each) for each in shapes)}")
    for shape in shapes:
        _bind_sizes(own, method, shape)
    return texts


def _shape_text(own: Translator, shape: InputShape) -> str:
    name = own.scope[shape.name].text
    if shape.is_scalar:
        return f"{name}: a number"
    sizes = [*(("...",) if shape.any_rank else ()), *map(_size_name, shape.sizes)]
    return f"{name}: ({', '.join(sizes)}{',' * (len(sizes) == 1 and not shape.any_rank)})"


def _size_name(name: str) -> str:
    return python_name(Symbol(name, name)) if not name.isdigit() else name


def _bind_sizes(own: Translator, method: CallDefinition, shape: InputShape) -> None:
    source = own.scope[shape.name].text
    names = []
    for at, size in enumerate(shape.sizes):
        if size in own.scope or size.isdigit():
            names.append("_")
            continue
        name = own.fresh(_size_name(size))
        own.scope[size] = Expression(name, "int")
        if shape.any_rank:
            own.suite.assign(name, f"{source}.shape[{at - len(shape.sizes)}]")
        names.append(name)
    if names and not shape.any_rank and set(names) != {"_"}:
        own.suite.unpack(names, f"{source}.shape")


# Inputs as arguments


def _inputs(own: Translator, model: PortedClass, method: MethodDefinition) -> list[str]:
    instance, *required = method.arguments.of_kind("required")
    own.scope[instance.symbol.name] = Expression("model", model.name)
    symbols = [each.symbol for each in (*required, *method.arguments.of_kind("optional"))]
    found = [
        _bind_input(own, model, at, each.name, own.fresh(python_name(each)))
        for at, each in enumerate(symbols)
    ]
    least = len(required)
    for each in method.arguments.of_kind("rest"):
        names = _input_names(own, model, each.symbol, method, len(found))
        rest = [
            _bind_input(own, model, len(found) + at, "", own.fresh(name))
            for at, name in enumerate(names)
        ]
        own.scope[each.symbol.name] = listed(rest)
        found += rest
        least = _least(own, model, found)
    texts = [_parameter(own, each, may_lack=at >= least) for at, each in enumerate(found)]
    for each in method.arguments.of_kind("aux"):
        value = NIL if each.default is None else own.value(each.default)
        bind_alias(own, each.symbol, value)
    return texts


def bind_alias(own: Translator, symbol: Symbol, value: Expression) -> None:
    """Bind a variable; one that is an input by the same name is that input."""
    if value.text == python_name(symbol) and value.text in own.taken:
        own.scope[symbol.name] = value
    else:
        own.bind(symbol, value, last=True)


def _least(own: Translator, model: PortedClass, found: Sequence[Expression]) -> int:
    """Return how many inputs must be there: the last one that is needed, and those before it."""
    least = 1
    for at in range(len(found)):
        fact = model.input_fact(at)
        if own.facts.needed.get(fact, "bool") != "bool" and not is_optional(
            own.facts.type_of(fact)
        ):
            least = at + 1
    return least


def _input_names(
    own: Translator, model: PortedClass, rest: Symbol, method: MethodDefinition, first: int
) -> list[str]:
    """Return a name for each further input: as the method names it, or those that call it do."""
    named = _names_in(method, rest)
    callers = own.facts.input_names
    count = max([at + 1 for at in named] or [1])
    while own.facts.is_known(model.input_fact(first + count)):
        count += 1
    return [
        named.get(at)
        or callers.get(model.input_fact(first + at), "x" if at == 0 else f"input_{at}")
        for at in range(count)
    ]


_PLACES = {"FIRST": 0, "CAR": 0, "SECOND": 1, "CADR": 1, "THIRD": 2, "FOURTH": 3}


def _names_in(method: MethodDefinition, rest: Symbol) -> dict[int, str]:
    """Return the variables that a method binds to its inputs, by their places."""
    found: dict[int, str] = {}
    defaults = [
        Form((each.symbol, each.default))
        for each in method.arguments.of_kind("aux")
        if each.default is not None
    ]
    for form in (*method.body, *defaults):
        for each in walk_data(form):
            if isinstance(each, Form):
                found |= _names_at(each, rest)
    return found


def _names_at(form: Form, rest: Symbol) -> dict[int, str]:
    if form.head == "MULTIPLE-VALUE-BIND" and len(form.rest) > 1:
        values = form.rest[1]
        if isinstance(values, Form) and values.items[-1] == rest:
            return {at: python_name(each) for at, each in enumerate(variables_of(form.rest[0]))}
    if len(form.items) == 2 and isinstance(form.items[0], Symbol):
        at = _place(form.items[1], rest)
        if at is not None and form.head not in _PLACES:
            return {at: python_name(form.items[0])}
    at = _place(form, rest)
    return {} if at is None else {at: ""}


def _place(datum: Datum, rest: Symbol) -> int | None:
    if not isinstance(datum, Form) or datum.items[-1] != rest or len(datum.items) != 2:
        return None
    return _PLACES.get(datum.head)
