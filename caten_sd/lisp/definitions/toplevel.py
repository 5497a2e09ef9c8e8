"""Which definitions the forms of a file are: one function a defining word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import (
    CallDefinition,
    ClassDefinition,
    ClassLike,
    Definition,
    FunctionDefinition,
    MethodDefinition,
    ModelDefinition,
    ModuleDefinition,
    SequenceDefinition,
    SkippedForm,
    VariableDefinition,
)
from caten_sd.lisp.definitions.grammar import required, undeclared
from caten_sd.lisp.definitions.lambda_lists import LambdaList, lambda_list
from caten_sd.lisp.definitions.model_slots import class_slots, model_slots, options_of
from caten_sd.lisp.definitions.standard_names import STANDARD_NAMES
from caten_sd.lisp.syntax.datum import (
    Datum,
    Form,
    Literal,
    Symbol,
    brief,
    is_nil,
    items_of,
    symbol_of,
)

_DOC = (":DOCUMENTATION",)
_MODEL_GRAMMAR = "write (defmodel (Name (arguments)) ((slot form) ...))"
_SEQUENCE_GRAMMAR = "write (defsequence Name (arguments) node ...)"
_CALL_GRAMMAR = "(defcall (model Name) (Input[shape] ...) form ...)"


def definitions(data: Iterable[Datum]) -> Iterator[Definition | SkippedForm]:
    """Yield what each form defines; LispError for a model that is not written as Caten's are."""
    for datum in data:
        head = datum.head if isinstance(datum, Form) else ""
        if not isinstance(datum, Form):
            yield SkippedForm("", "", "it is not a form", datum.place)
        elif head in ("PROGN", "EVAL-WHEN"):
            yield from definitions(datum.items[1 if head == "PROGN" else 2 :])
        elif head in _MODELS:
            yield _with_own_name(_MODELS[head](datum))
        elif head in _OTHERS:
            yield _with_own_name(_other(datum))
        elif head not in _IGNORED:
            yield _skipped(datum, "it defines no model")


def _with_own_name(definition: Definition | SkippedForm) -> Definition | SkippedForm:
    """Refuse a definition whose name Common Lisp has itself: a call would mean Lisp's own."""
    if isinstance(definition, ClassLike | FunctionDefinition):
        name = definition.name
        if name.name in STANDARD_NAMES:
            raise LispError(
                name.place,
                f"{name} is a name of Common Lisp itself, which no file may define again",
                f"rename it, as My{name.spelling.capitalize()}",
            )
    return definition


def _other(form: Form) -> Definition | SkippedForm:
    """Return a definition that only matters to a model that uses it."""
    try:
        return _OTHERS[form.head](form)
    except LispError as error:
        return _skipped(form, str(error))


def _skipped(form: Form, why: str) -> SkippedForm:
    second = form.items[1] if len(form.items) > 1 else None
    if isinstance(second, Form):  # as in (defstruct (name options))
        second = second.items[0]
    name = second.name if isinstance(second, Symbol) else ""
    return SkippedForm(brief(form.items[0], 30), name, why, form.place)


def _model(form: Form) -> ModelDefinition:
    header = _header(form)
    name = symbol_of(header[0], "the name of a model")
    options = options_of(header[2:], form.place)
    _refuse_other_grammar(form, header, set(options))
    if len(form.items) < 3:
        raise LispError(form.place, f"the model {name} has no list of slots", _MODEL_GRAMMAR)
    for option in options:
        if option not in ("WHERE", "DOCUMENTATION"):
            raise LispError(
                form.place,
                f"the model {name} has the option :{option.lower()}",
                "use only :where and :documentation",
            )
    return ModelDefinition(
        name,
        _without_supplied(lambda_list(header[1])),
        tuple(model_slots(name, form.items[2])),
        form.items[3:],
        _text(options.get("DOCUMENTATION")),
        _text(options.get("WHERE")),
        form.place,
    )


def _header(form: Form) -> tuple[Datum, ...]:
    header = form.items[1] if len(form.items) > 1 else None
    if not isinstance(header, Form) or header.tail is not None or len(header.items) < 2:
        raise LispError(form.place, f"{brief(form, 40)} has no (Name (arguments))", _MODEL_GRAMMAR)
    return header.items


def _refuse_other_grammar(form: Form, header: tuple[Datum, ...], options: set[str]) -> None:
    """Refuse the ``defmodel`` of cl-waffe2, the library that Caten comes after."""
    if options & {"SLOTS", "INITARGS", "ON-CALL->"}:
        raise LispError(
            form.place,
            f"{brief(header[0])} is written in the grammar of cl-waffe2, an older library",
            f"for Caten, {_MODEL_GRAMMAR}",
        )


def _without_supplied(arguments: LambdaList) -> LambdaList:
    """Refuse what no form of a model can see: it fails in Caten too."""
    for each in arguments.arguments:
        plain = each.keyword is None or each.keyword.name == each.symbol.name
        if each.supplied is not None or not plain:
            raise LispError(
                each.symbol.place,
                f"the argument {each.symbol} of a model has two names",
                f"write ({each.symbol} default)",
            )
    return arguments


def _module(form: Form) -> ModuleDefinition:
    header = _header(form)
    name = symbol_of(header[0], "the name of a module")
    inner = items_of(header[1], "((arguments) :key form ...)")
    if not inner or len(form.items) < 3:
        raise LispError(
            form.place,
            f"the module {name} has no arguments or slots",
            "write (defmodule (Name ((arguments))) ((slot :initform form)))",
        )
    options = options_of(form.items[3:], form.place)
    slots = tuple(class_slots(name, form.items[2]))
    arguments = _without_supplied(lambda_list(inner[0]))
    text = _text(options.get("DOCUMENTATION"))
    return ModuleDefinition(name, arguments, slots, inner[1:], text, form.place)


def _class(form: Form) -> ClassDefinition:
    required(form, 3, "(defclass Name (Base) ())")
    name = symbol_of(form.items[1], "the name of a class")
    listed = items_of(form.items[2], "a list of classes")
    bases = [each for each in listed if isinstance(each, Symbol)]
    options = [each.items for each in form.items[4:] if isinstance(each, Form)]
    text = next((_text(each[-1]) for each in options if brief(each[0]).upper() in _DOC), "")
    slots = tuple(class_slots(name, form.items[3]))
    return ClassDefinition(name, tuple(bases), slots, text, form.place)


def _sequence(form: Form) -> SequenceDefinition:
    if len(form.items) < 3:
        raise LispError(form.place, f"{brief(form)} has no arguments", _SEQUENCE_GRAMMAR)
    name = symbol_of(form.items[1], "the name of a sequence")
    nodes = form.items[3:]
    for node in nodes:
        if isinstance(node, Literal):
            raise LispError(
                node.place,
                f"{brief(node, 30)} in the sequence {name} is not a node; Caten counts it as one, "
                f"as it does a docstring, and fails when the model is called",
                "remove it",
            )
    arguments = _without_supplied(lambda_list(form.items[2]))
    return SequenceDefinition(name, arguments, nodes, form.place)


def _call(form: Form) -> CallDefinition:
    required(form, 2, _CALL_GRAMMAR)
    names = items_of(form.items[1], "(model Name)")
    if len(names) != 2:
        raise LispError(
            form.items[1].place, f"{brief(form.items[1])} is not read", f"write {_CALL_GRAMMAR}"
        )
    instance, model = (symbol_of(each, "a name") for each in names)
    shapes = items_of(form.items[2], "a list of inputs")
    documentation, body = _body(form.items[3:])
    return CallDefinition(instance, model, shapes, body, documentation, form.place)


def _function(form: Form) -> FunctionDefinition:
    required(form, 2, "(defun name (arguments) form ...)")
    name = symbol_of(form.items[1], "the name of a function")
    documentation, body = _body(form.items[3:])
    return FunctionDefinition(name, lambda_list(form.items[2]), body, documentation, form.place)


def _method(form: Form) -> MethodDefinition:
    required(form, 2, "(defmethod name ((argument Class)) form ...)")
    name = symbol_of(form.items[1], "the name of a function")
    rest = list(form.items[2:])
    qualifiers: list[Symbol] = []
    while rest and isinstance(first := rest[0], Symbol) and not is_nil(first):
        qualifiers.append(first)
        del rest[0]
    if not rest:
        raise LispError(form.place, f"the method {name} has no arguments", "write (arguments)")
    arguments = lambda_list(rest[0], specialized=True)
    documentation, body = _body(tuple(rest[1:]))
    return MethodDefinition(name, tuple(qualifiers), arguments, body, documentation, form.place)


def _variable(form: Form) -> VariableDefinition:
    required(form, 1, "(defparameter *name* form)")
    name = symbol_of(form.items[1], "the name of a variable")
    value = form.items[2] if len(form.items) > 2 else None
    return VariableDefinition(form.head, name, value, form.place)


def _body(forms: tuple[Datum, ...]) -> tuple[str, tuple[Datum, ...]]:
    """Return the documentation that begins a body, and its forms without declarations."""
    text = ""
    if len(forms) > 1 and isinstance(forms[0], Literal) and isinstance(forms[0].value, str):
        text, forms = forms[0].value, forms[1:]
    return text.strip(), tuple(undeclared(forms))


def _text(datum: Datum | None) -> str:
    value = datum.value if isinstance(datum, Literal) else ""
    return value.strip() if isinstance(value, str) else ""


_MODELS: dict[str, Callable[[Form], Definition]] = {
    "DEFMODEL": _model,
    "DEFMODULE": _module,
    "DEFSEQUENCE": _sequence,
    "DEFCALL": _call,
}
_OTHERS: dict[str, Callable[[Form], Definition]] = {
    "DEFCLASS": _class,
    "DEFUN": _function,
    "DEFMETHOD": _method,
    "DEFPARAMETER": _variable,
    "DEFVAR": _variable,
    "DEFCONSTANT": _variable,
}
_IGNORED = ("IN-PACKAGE", "DEFPACKAGE", "DECLAIM", "EXPORT")
