"""Tensors that slots hold, and functions that are models of ``caten_sd.nn``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import attrs

from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.operators.layers import ACTIVATIONS, POOLS
from caten_sd.lisp.port.forms.operands import (
    Arguments,
    OperatorForm,
    dtype,
    is_scalar,
    operand,
    shape_text,
    sizes,
)
from caten_sd.lisp.port.python_text.expressions import (
    PRODUCT,
    SIGN,
    Expression,
    called,
    comma,
    number,
)
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol

_METHODS = {
    "!RELU": "relu",
    "!SIGMOID": "sigmoid",
    "!SOFTMAX": "softmax",
    "!LOG-SOFTMAX": "log_softmax",
}
_FUNCTIONS = {"!SILU": "functional.silu({x})", "!GELU": 'functional.gelu({x}, approximate="tanh")'}


def _options(translator: Translator, form: Form, count: int) -> dict[str, Datum]:
    pairs = form.rest[count:]
    names = [each.name if isinstance(each, Symbol) else "" for each in pairs[::2]]
    if len(pairs) % 2 or len(form.rest) < count:
        raise translator.untranslatable(form, "its arguments are not pairs")
    return dict(zip(reversed(names), reversed(pairs[1::2]), strict=True))


def _made(
    translator: Translator, text: str, options: Mapping[str, Datum], *, default: str = ""
) -> Expression:
    """Return a tensor with the dtype of its options, a Parameter if it has gradients."""
    if "DTYPE" in options:
        text += f".to({dtype(translator, options['DTYPE'])})"
    found = Expression(text, "Tensor", floating=not default)
    trains = options.get("REQUIRES-GRAD")
    if trains is None or translator.value(trains).text == "None":
        return found
    return called(translator.imports.use("torch.nn", "Parameter"), found, type_="Tensor")


def _shape(translator: Translator, form: Form) -> list[Expression]:
    return sizes(translator, form.rest[:1], whole=True)


def _number(translator: Translator, datum: Datum) -> Expression:
    found = translator.value(datum, "float")
    return number(float(found.number)) if isinstance(found.number, int) else found


def _new(translator: Translator, function: str, *arguments: str) -> str:
    torch = translator.imports.use("torch", "")
    return f"{torch}.{function}({', '.join([*arguments, *translator.where()])})"


def _random(function: str, translator: Translator, form: Form, want: str) -> Expression:
    shape, options = _shape(translator, form), _options(translator, form, 1)
    return _made(translator, _new(translator, function, _spread(shape)), options)


def _spread(shape: list[Expression]) -> str:
    """Return the sizes as arguments; a tensor of one number needs its empty shape."""
    return comma(shape) if shape and shape[0].text not in ("None", "[]") else "()"


def _drawn(
    method: str, names: tuple[str, str], translator: Translator, form: Form, want: str
) -> Expression:
    shape, options = _shape(translator, form), _options(translator, form, 1)
    defaults = {"LOW": 0.0, "HIGH": 1.0, "MEAN": 0.0, "STD": 1.0}
    given = [
        _number(translator, options[each]) if each in options else number(defaults[each])
        for each in names
    ]
    empty = _new(translator, "empty", _spread(shape))
    return _made(translator, f"{empty}.{method}({comma(given)})", options)


def _xavier(translator: Translator, form: Form, want: str) -> Expression:
    shape, options = _shape(translator, form), _options(translator, form, 1)
    init = translator.imports.use("torch.nn", "init")
    empty = _new(translator, "empty", _spread(shape))
    return _made(translator, f"{init}.xavier_uniform_({empty})", options)


def _linspace(translator: Translator, form: Form, want: str) -> Expression:
    shape, options = _shape(translator, form), _options(translator, form, 3)
    slope, start = (_number(translator, each) for each in form.rest[1:3])
    if slope.number == 0:
        return _made(translator, _filled(translator, shape, start), options)
    torch = translator.imports.use("torch", "")
    count = " * ".join(each.text if len(shape) == 1 else each.within(SIGN) for each in shape)
    text = _new(translator, "arange", count, f"dtype={torch}.float32")
    text += f".reshape({comma(shape)})" if len(shape) > 1 else ""
    text += f" * {slope.within(SIGN)}" if slope.number != 1 else ""
    text += f" + {start.within(PRODUCT)}" if start.number != 0 else ""
    return _made(translator, f"({text})" if options else text, options)


def _filled(translator: Translator, shape: list[Expression], value: Expression) -> str:
    if value.number in (0, 1):
        return _new(translator, "ones" if value.number else "zeros", _spread(shape))
    return _new(translator, "full", shape_text(shape), value.text)


def _make_tensor(translator: Translator, form: Form, want: str) -> Expression:
    shape, options = _shape(translator, form), _options(translator, form, 1)
    datum = options.get("INITIAL-ELEMENT")
    value = number(0.0) if datum is None else _number(translator, datum)
    if "FROM" in options:
        raise translator.untranslatable(form, "it takes a buffer of Caten")
    return _made(translator, _filled(translator, shape, value), options)


def _constant(kind: str, translator: Translator, form: Form, want: str) -> Expression:
    """Return a number; a slot holds it as a tensor."""
    found, options = translator.value(form.rest[0], kind), _options(translator, form, 1)
    if kind == "float" and found.number is not None:
        found = number(float(found.number))
    if not translator.builds and not options:
        return found if is_scalar(found) or found.type else attrs.evolve(found, type=kind)
    torch = translator.imports.use("torch", "")
    name = "float32" if kind == "float" else "int64"
    given = "" if found.type == kind and not options else f", dtype={torch}.{name}"
    return _made(translator, f"{torch}.tensor({found.text}{given})", options, default=name)


def _unwritable(text: str, translator: Translator, form: Form, want: str) -> Expression:
    sign = "-" * text.startswith("-")
    math = translator.imports.use("math", "")
    return Expression(f"{sign}{math}.{text.lstrip('-')}", "float", SIGN)


def _activation(name: str, translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    options = {key: translator.value(datum).text for key, datum in arguments.options.items()}
    if name in _METHODS and set(options) <= {"axis"}:
        axis = options.get("axis", "-1") if "SOFTMAX" in name else ""
        return Expression(f"{x.operand}.{_METHODS[name]}({axis})", "Tensor", loose=x.loose)
    if name in _FUNCTIONS and not options:
        translator.imports.use("torch.nn", "functional")
        return Expression(_FUNCTIONS[name].format(x=x.text), "Tensor")
    positional = [translator.value(each).text for each in arguments.positional[1:]]
    made = activation(translator, name, positional, options)
    return Expression(f"{made}({x.text})", "Tensor", loose=True)


def activation(
    translator: Translator, name: str, positional: list[str], options: Mapping[str, str]
) -> str:
    """Return a call of the class of ``caten_sd.nn`` that computes an activation."""
    model = ACTIVATIONS[name][0]
    use = translator.imports.use("caten_sd.nn", getattr(model, "__name__", ""))
    named = [f"{key.replace('-', '_')}={text}" for key, text in options.items()]
    return f"{use}({', '.join([*positional, *named])})"


def _pool(name: str, translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    options = dict(arguments.options)
    kernel = options.pop("kernel-size", None)
    size = "(2, 2)" if kernel is None else shape_text(sizes(translator, [kernel], whole=True))
    model = getattr(POOLS[name], "__name__", "")
    use = translator.imports.use("caten_sd.nn", model)
    named = [
        f"{python_name(Symbol(key.upper(), key))}={translator.value(datum).text}"
        for key, datum in options.items()
    ]
    return Expression(f"{use}({', '.join([size, *named])})({x.text})", "Tensor", loose=True)


def _normalized(function: str, translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    last = sizes(translator, arguments.positional[1:2])[-1]
    translator.imports.use("torch.nn", "functional")
    eps = arguments.options.get("eps")
    epsilon = "1e-5" if eps is None else translator.value(eps, "float").text
    text = f"functional.{function}({x.text}, ({last.text},), eps={epsilon})"
    for key, sign in (("weight", "*"), ("bias", "+")):
        datum = arguments.options.get(key)
        found = None if datum is None else translator.value(datum)
        if found is not None and found.text != "None":
            text += f" {sign} {translator.present(found).text}"
    return Expression(text, "Tensor", 5 if " + " in text else 6)


FORMS: Mapping[str, OperatorForm] = {
    **{name: partial(_activation, name) for name in ACTIVATIONS},
    **{name: partial(_pool, name) for name in POOLS},
    "!LAYER-NORM": partial(_normalized, "layer_norm"),
    "!RMS-NORM": partial(_normalized, "rms_norm"),
}
VALUE_FORMS: Mapping[str, ValueForm] = {
    "RAND": partial(_random, "rand"),
    "RANDN": partial(_random, "randn"),
    "UNIFORM": partial(_drawn, "uniform_", ("LOW", "HIGH")),
    "NORMAL": partial(_drawn, "normal_", ("MEAN", "STD")),
    "XAVIER-UNIFORM": _xavier,
    "LINSPACE": _linspace,
    "AX+B": _linspace,
    "MAKE-TENSOR": _make_tensor,
    "FCONST": partial(_constant, "float"),
    "ICONST": partial(_constant, "int"),
    "-INF": partial(_unwritable, "-inf"),
    "INF": partial(_unwritable, "inf"),
    "NAN": partial(_unwritable, "nan"),
}
