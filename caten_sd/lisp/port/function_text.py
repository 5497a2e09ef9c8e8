"""Functions: their arguments with types and defaults, and their bodies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.classes.signatures import named_arguments
from caten_sd.lisp.definitions.lambda_lists import Argument, LambdaList
from caten_sd.lisp.port.facts import device_fact
from caten_sd.lisp.port.ported_classes import PortedFunction
from caten_sd.lisp.port.python_text.expressions import FALSE, NIL, Expression
from caten_sd.lisp.port.python_text.python_types import NONE, is_optional, optional
from caten_sd.lisp.port.python_text.suites import Line, Suite
from caten_sd.lisp.port.translator import Translator
from caten_sd.lisp.port.untranslated import as_sentence
from caten_sd.lisp.syntax.datum import Datum, Form, Literal, Symbol, is_nil

Names = Callable[[str], str]


def parameters(
    translator: Translator, arguments: LambdaList, fact_of: Names, unknown: str = "Any"
) -> list[str]:
    """Return the arguments of a function as text, and bind them for its body."""
    texts: list[str] = []
    for plain, each in named_arguments(arguments).items():
        name = "model" if plain == "self_" else plain
        if each.kind == "rest":
            texts.append(f"*{name}: {translator.annotation('Any')}")
            translator.scope[each.symbol.name] = Expression(name, "list[Any]")
            translator.taken.add(name)
            continue
        if each.kind == "key" and "*" not in texts and not any(t[0] == "*" for t in texts):
            texts.append("*")
        texts.append(_parameter(translator, name, each, fact_of(name), unknown))
    for each in arguments.of_kind("aux"):
        translator.bind(each.symbol, _aux_value(translator, each), last=False)
    return texts


def _aux_value(translator: Translator, argument: Argument) -> Expression:
    """Return the value of a variable of the lambda list; None where a model is built without it."""
    if argument.default is None:
        return NIL
    fact = translator.fact_of(argument.symbol)
    try:
        with translator.attempt():
            return translator.value_for(fact, argument.default)
    except (LispError, RecursionError) as error:
        if not translator.builds:
            raise
        said = as_sentence(argument.default.place, error)
        translator.untranslated.say(translator.suite, said)
        translator.facts.miss(fact)
        return NIL


def _parameter(
    translator: Translator, name: str, argument: Argument, fact: str, unknown: str
) -> str:
    translator.taken.add(name)
    default = None if argument.kind == "required" else _default(translator, argument, fact)
    type_ = translator.facts.type_of(fact)
    if argument.specializer is not None and isinstance(argument.specializer, Symbol):
        owner = translator.names.classes.get(argument.specializer.name)
        type_ = type_ if owner is None else owner.name
    if default is not None and default.text == "None" and type_ == "bool":
        default = FALSE
    translator.scope[argument.symbol.name] = Expression(name, type_, fact=fact)
    if not is_optional(type_) and type_ != NONE:
        translator.known.add(name)
    shown = type_ if type_ not in ("", NONE) else optional(unknown) if type_ else unknown
    if default is None:
        return f"{name}: {translator.annotation(shown)}"
    if default is _LATER:
        _set_later(translator, name, argument, fact)
        shown = translator.facts.type_of(fact) or unknown
        return f"{name}: {translator.annotation(optional(shown))} = None"
    return f"{name}: {translator.annotation(shown)} = {default.text}"


_LATER = Expression("...")


def _default(translator: Translator, argument: Argument, fact: str) -> Expression:
    """Return the default of an argument, `_LATER` for a form that sees the other arguments."""
    datum = argument.default
    if datum is None or is_nil(datum):
        translator.facts.give(fact, NONE)
        return NIL
    plain = isinstance(datum, Literal) or _is_constant(translator, datum)
    plain = plain or (isinstance(datum, Form) and datum.head == "FUNCTION")
    if not plain:
        return _LATER
    try:
        found = translator.value(datum)
    except LispError:
        return _LATER
    translator.facts.flow(fact, found)
    return found if not found.text.endswith(")") else _LATER


def _is_constant(translator: Translator, datum: Datum) -> bool:
    if not isinstance(datum, Symbol):
        return False
    return datum.is_keyword or datum.name == "T" or datum.name in translator.names.variables


def _set_later(translator: Translator, name: str, argument: Argument, fact: str) -> None:
    assert argument.default is not None
    with translator.writing(Suite()) as body:
        try:
            found = translator.value_for(fact, argument.default)
        except LispError as error:
            translator.untranslated.say(translator.suite, error)
            body.add(translator.untranslated.refusal(argument.default.place, f"; pass {name}"))
        else:
            body.assign(name, found.text)
            translator.facts.flow(fact, found)
    translator.suite.block(f"if {name} is None:", body)
    translator.known.add(name)
    type_ = translator.facts.type_of(fact)
    translator.scope[argument.symbol.name] = Expression(name, type_, fact=fact)


def function_block(
    translator: Translator,
    function: PortedFunction,
    lisp_name: str,
    body: Sequence[Datum],
    *,
    inner: bool,
    documentation: str = "",
) -> None:
    """Write a function, or one inside the function that is being written."""
    own = attrs.evolve(
        translator,
        suite=Suite(),
        result_fact=function.result_fact,
        blocks=frozenset({lisp_name}),
        taken=set(translator.taken) if inner else set(),
        scope=dict(translator.scope) if inner else {},
        functions=dict(translator.functions) if inner else {},
        known=set(),
        pinned=set(),
        lists={},
        device=translator.device,
    )
    texts = parameters(own, function.arguments, function.argument_fact, "Tensor")
    own.device = own.device or device_of(own)
    if own.device:
        own.facts.forget_need(device_fact(function.result_fact))
    elif own.facts.needed.get(device_fact(function.result_fact)):
        own.device = "device"
        texts.append(f"device: {own.imports.use('torch', '')}.device | None = None")
    own.body(body, own.answer)
    if inner:
        _pin(translator, own.suite)
    finish(own, documentation)
    result = own.facts.type_of(function.result_fact) or "Any"
    if inner and translator.suite.lines[-1:] != [Line("")]:
        translator.suite.add("")
    header = f"def {function.name}({', '.join(texts)}) -> {own.annotation(result)}:"
    translator.suite.block(header, own.suite)
    if inner:
        translator.suite.add("")


def device_of(translator: Translator) -> str:
    """Return the device of the first input that is a tensor, "" if there is none."""
    tensors = [each.text for each in translator.scope.values() if each.type == "Tensor"]
    return f"{tensors[0]}.device" if tensors else ""


def finish(translator: Translator, documentation: str) -> None:
    """Leave out a last line that returns nothing, and begin with the documentation."""
    translator.suite.prune()
    lines = translator.suite.lines
    if translator.facts.type_of(translator.result_fact) == NONE and lines:
        last = lines[-1]
        if getattr(last, "text", "") == "return None":
            del lines[-1]
    if documentation:
        described = Suite()
        described.add(documentation)
        lines.insert(0, described.lines[0])


def _pin(translator: Translator, suite: Suite) -> None:
    """Keep the names that a local function reads from getting other values."""
    text = "\n".join(each.text for each in suite.flat())
    names = {each.text for each in translator.scope.values()}
    translator.pinned |= {each for each in names if re.search(rf"\b{re.escape(each)}\b", text)}
