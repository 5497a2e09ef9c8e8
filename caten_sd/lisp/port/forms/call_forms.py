"""Calls: of models, functions, constructors and operators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence

from caten_sd import nn
from caten_sd.lisp.classes.constructors import CONSTRUCTORS, Constructor
from caten_sd.lisp.classes.signatures import named_arguments
from caten_sd.lisp.definitions.definition import SequenceDefinition
from caten_sd.lisp.definitions.lambda_lists import Argument, LambdaList
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.operators.all_operators import OPERATORS
from caten_sd.lisp.port.facts import device_fact
from caten_sd.lisp.port.forms import (
    element_forms,
    maker_forms,
    reduction_forms,
    shape_forms,
    view_forms,
)
from caten_sd.lisp.port.forms.list_forms import bound_values
from caten_sd.lisp.port.forms.number_forms import product_of
from caten_sd.lisp.port.forms.operands import OperatorForm, arguments_of
from caten_sd.lisp.port.forms.slot_access import class_of, read
from caten_sd.lisp.port.ported_classes import PortedClass, PortedFunction
from caten_sd.lisp.port.python_text.expressions import Expression, comma, splat
from caten_sd.lisp.port.python_text.python_types import is_list, is_optional
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol

_OPERATOR_FORMS: Mapping[str, OperatorForm] = {
    **element_forms.FORMS,
    **shape_forms.FORMS,
    **reduction_forms.FORMS,
    **view_forms.FORMS,
    **maker_forms.FORMS,
}
_CALLS = ("CALL", "FORWARD")


def _invoked(translator: Translator, form: Form, want: str) -> Expression:
    """Call what the first symbol of a form names, the file's own before Caten's."""
    name, names = form.head, translator.names
    if name in translator.functions:
        return _function(translator, form, translator.functions[name])
    if name in names.classes:
        return _own_model(translator, form, names.classes[name])
    if name in names.functions:
        return _function(translator, form, names.functions[name])
    if name in names.readers:
        return read(translator, form, names.readers[name])
    if name in _CALLS:
        return forward(translator, form, translator.value(form.rest[0]), form.rest[1:])
    if name == "FUNCALL":
        return _called_value(translator, form, want)
    if name in CONSTRUCTORS:
        return _built_in_model(translator, form, CONSTRUCTORS[name])
    if name in _OPERATOR_FORMS:
        arguments = arguments_of(translator, OPERATORS[name], form)
        return _OPERATOR_FORMS[name](translator, arguments)
    assert isinstance(form.items[0], Symbol)
    names.require_function(form.items[0], translator.functions)
    raise translator.untranslatable(form)


def _called_value(translator: Translator, form: Form, want: str) -> Expression:
    first, *rest = form.rest
    if isinstance(first, Form) and first.head == "FUNCTION" and isinstance(first.rest[0], Symbol):
        return translator.values(Form((first.rest[0], *rest), None, form.place), want)
    function = translator.value(first)
    arguments = translator.items(rest)
    return Expression(f"{function.operand}({comma(arguments)})", "Tensor", loose=True, acts=True)


# Forward passes


def forward(
    translator: Translator, form: Form, model: Expression, data: Sequence[Datum], *rest: Expression
) -> Expression:
    """Call a model with inputs."""
    owner = class_of(translator, model.type)
    found = [*translator.items(data), *rest]
    if owner is None:
        return _built_in_call(translator, form, model, found)
    target = owner.forward_owner
    if target is None:
        if isinstance(owner.definition, SequenceDefinition):
            return Expression(f"{model.operand}({comma(found)})", "Tensor", loose=True, acts=True)
        raise translator.untranslatable(form, f"{owner.name} has no forward pass")
    found = [
        each if each.is_splat else _input(translator, target.input_fact(at), each)
        for at, each in enumerate(found)
    ]
    type_ = translator.facts.type_of(target.output_fact)
    return Expression(f"{model.operand}({comma(found)})", type_, loose=True, acts=True)


def _input(translator: Translator, fact: str, found: Expression) -> Expression:
    facts = translator.facts
    facts.flow(fact, found)
    if found.text.isidentifier():
        facts.input_names.setdefault(fact, found.text)
    return found


def _built_in_call(
    translator: Translator, form: Form, model: Expression, found: list[Expression]
) -> Expression:
    arguments = comma(found)
    if model.type == "Embedding" and found[0].floating:
        arguments = f"{found[0].operand}.long()"
    if model.type in ("Attention", "TransformerBlock") and len(found) > 1:
        if found[1].type != "None":
            raise translator.untranslatable(form, f"the mask of Caten's {model.type} is not passed")
        arguments = comma([found[0], *found[2:]])
    text = f"{model.operand}({arguments})"
    if model.type == "Transformer":
        text += "[:, -1:].argmax(-1, keepdim=True)"
    return Expression(text, "Tensor", loose=True, acts=True)


def _apply(translator: Translator, form: Form, want: str) -> Expression:
    function, *data = form.rest
    name = function.rest[0] if isinstance(function, Form) and function.head == "FUNCTION" else None
    if not isinstance(name, Symbol):
        raise translator.untranslatable(form, "it is not known which function it calls")
    if name.name == "*":
        return product_of(translator, form, want)
    if (found := bound_values(translator, form)) is not None:
        return found
    last = translator.value(data[-1], "list[int]")
    if name.name in _CALLS:
        model = translator.value(data[0])
        return forward(translator, form, model, data[1:-1], *(last.items or (splat(last),)))
    if name.name == "!CONCATENATE":
        axis = translator.value(data[0], "int")
        torch = translator.imports.use("torch", "")
        return Expression(f"{torch}.cat({last.text}, dim={axis.text})", "Tensor")
    translator.names.require_function(name, translator.functions)
    raise translator.untranslatable(form)


# Functions and constructors


def paired(
    translator: Translator, form: Form, arguments: LambdaList, data: Sequence[Datum]
) -> Iterator[tuple[Argument, Datum]]:
    """Yield the arguments that a call passes, each with its form."""
    places = arguments.of_kind("required", "optional")
    required = len(arguments.of_kind("required"))
    rest = arguments.of_kind("rest")
    keys = {each.keyword.name: each for each in arguments.of_kind("key") if each.keyword}
    pairs = data[len(places) :]
    if len(data) < required or (pairs and not keys and not rest):
        raise translator.untranslatable(form, f"the arguments are {arguments}")
    yield from zip(places, data, strict=False)
    if not keys:
        yield from ((rest[0], each) for each in pairs)
        return
    for key, datum in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, Symbol) or key.name not in keys:
            raise translator.untranslatable(form, f"the arguments are {arguments}")
        yield keys[key.name], datum


def _passed(
    translator: Translator,
    form: Form,
    arguments: LambdaList,
    fact_of: Callable[[str], str],
    data: Sequence[Datum],
) -> list[str]:
    """Return the arguments of a call of something that is written too."""
    names = {each.symbol.name: name for name, each in named_arguments(arguments).items()}
    texts = []
    for argument, datum in paired(translator, form, arguments, data):
        name = names[argument.symbol.name]
        known = translator.facts.type_of(fact_of(name))
        found = translator.value(datum, "" if is_optional(known) or known == "bool" else known)
        if argument.kind != "rest":
            translator.facts.flow(fact_of(name), found)
        if known == "bool" and found.text == "None":
            texts.append(f"{name}=False" if argument.kind == "key" else "False")
            continue
        texts.append(f"{name}={found.text}" if argument.kind == "key" else found.text)
    return texts


def _function(translator: Translator, form: Form, function: PortedFunction) -> Expression:
    translator.require(function.result_fact, form)
    texts = _passed(translator, form, function.arguments, function.argument_fact, form.rest)
    type_ = translator.facts.type_of(function.result_fact)
    if translator.facts.needed.get(device_fact(function.result_fact)):
        texts += translator.where()
    if function in translator.names.functions.values():
        translator.facts.call(translator.caller, function.name)
    return Expression(f"{function.name}({', '.join(texts)})", type_, acts=True)


def _own_model(translator: Translator, form: Form, model: PortedClass) -> Expression:
    texts = _passed(translator, form, model.arguments, model.argument_fact, form.rest)
    return Expression(f"{model.name}({', '.join(texts)})", model.name)


def _built_in_model(translator: Translator, form: Form, constructor: Constructor) -> Expression:
    """Call a class of ``caten_sd.nn``, whose arguments are in part others than Caten's."""
    model = getattr(constructor.model, "__name__", "").strip("_")
    name = "BatchNorm" if constructor.name == "BatchNorm" else model
    wants = inspect.signature(getattr(nn, name).__init__).parameters
    texts = []
    for argument, datum in paired(translator, form, constructor.arguments, form.rest):
        if argument.symbol.name in constructor.dropped:
            continue
        own = python_name(argument.symbol)
        want = str(wants[own].annotation) if own in wants else "int"
        text = _argument(translator, datum, want, constructor.name)
        texts.append(text if argument.kind == "required" else f"{own}={text}")
    if constructor.several and (several := _several_axes(translator, form.rest[0])):
        texts.append(f"last_axis_only={several}")
    use = translator.imports.use("caten_sd.nn", name)
    return Expression(f"{use}({', '.join(texts)})", name)


def _argument(translator: Translator, datum: Datum, want: str, model: str) -> str:
    listed = "Sequence" in want
    exact = want if want in ("int", "float", "bool", "str") else "list[int]" if listed else ""
    found = translator.value(datum, exact)
    if want == "bool" and found.text == "None":
        return "False"
    if listed and found.items is not None and found.text.startswith("["):
        alone = len(found.items) == 1 and not found.items[0].is_splat
        return found.items[0].text if alone and model != "ConvND" else _tuple(found)
    if model == "BatchNorm" and found.items is not None and len(found.items) == 1:
        return found.items[0].text
    return found.text


def _tuple(found: Expression) -> str:
    assert found.items is not None
    return f"({comma(found.items)}{',' * (len(found.items) == 1)})"


def _several_axes(translator: Translator, datum: Datum) -> str:
    """Return whether the sizes of a norm are several, as text; "" if they are not."""
    with translator.writing(Suite()):
        found = translator.value(datum)
    if found.items is not None and not any(each.is_splat for each in found.items):
        return "True" if len(found.items) > 1 else ""
    return f"len({found.text}) > 1" if is_list(found.type) else ""


VALUE_FORMS: Mapping[str, ValueForm] = {"FUNCALL": _invoked, "APPLY": _apply}
