"""Functions that move, cut, join and reduce tensors, as methods of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import attrs

from caten_sd.lisp.port.forms.operands import (
    Arguments,
    OperatorForm,
    dtype,
    is_scalar,
    maker,
    operand,
    shape_text,
    sizes,
    tensor,
)
from caten_sd.lisp.port.python_text.expressions import (
    DTYPE,
    PRODUCT,
    Expression,
    comma,
    infix,
    method,
    number,
)
from caten_sd.lisp.port.translator import Translator


def _sized(name: str, translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    return method(x, name, comma(sizes(translator, arguments.positional[1:])))


def _transpose(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    given = [each.text for each in sizes(translator, arguments.positional[1:])]
    return method(x, "transpose", *[*given, *("1", "0")[len(given) :]])


def _transpose_last(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    return Expression(f"{x.operand}.mT", "Tensor", loose=x.loose)


def _uprank(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    count = translator.value(arguments.positional[1]).number
    if not isinstance(count, int) or count < 1:
        raise translator.untranslatable(arguments.form, "the number of axes is not written out")
    return Expression(f"{x.operand}[{', '.join(['None'] * count)}]", "Tensor", loose=x.loose)


def _flatten(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    axis = arguments.options.get("axis")
    at = 1 if axis is None else translator.value(axis).number
    if not isinstance(at, int) or at < 0:
        raise translator.untranslatable(arguments.form, "the axis is not written out")
    if at == 0:
        return method(x, "reshape", "1", "-1")
    flat = method(x, "flatten", str(at))
    return flat if at == 1 else method(flat, "flatten", "0", str(at - 1))


def _chunk(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    count = translator.value(arguments.positional[1], "int")
    options = _dim(translator, arguments)
    return method(x, "chunk", count.text, *options, type_="tuple[Tensor, ...]")


def _dim(translator: Translator, arguments: Arguments) -> list[str]:
    dim = arguments.options.get("dim")
    return [] if dim is None else [f"dim={translator.value(dim, 'int').text}"]


def _split(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    given = translator.value(arguments.positional[1])
    torch = translator.imports.use("torch", "")
    text = ", ".join([x.text, given.text, *_dim(translator, arguments)])
    return Expression(f"{torch}.split({text})", "tuple[Tensor, ...]")


def _concatenate(translator: Translator, arguments: Arguments) -> Expression:
    axis = translator.value(arguments.positional[0], "int")
    found = [tensor(translator, each) for each in arguments.positional[1:]]
    torch = translator.imports.use("torch", "")
    items = f"({comma(found)}{',' * (len(found) == 1)})"
    return Expression(f"{torch}.cat({items}, dim={axis.text})", "Tensor")


def _plain(name: str, translator: Translator, arguments: Arguments) -> Expression:
    return method(operand(translator, arguments.positional[0]), name)


def _padding(translator: Translator, arguments: Arguments) -> Expression:
    x, pairs = operand(translator, arguments.positional[0]), arguments.positional[1]
    name = "pad" if arguments.form.head == "!PADDING" else "pad_2d"
    use = translator.imports.use("caten_sd.nn", name)
    value = arguments.options.get("value")
    given = [x.text, translator.value(pairs).text]
    given += [] if value is None else [f"value={translator.value(value, 'float').text}"]
    return Expression(f"{use}({', '.join(given)})", "Tensor")


def _unfold(translator: Translator, arguments: Arguments) -> Expression:
    x, kernel = operand(translator, arguments.positional[0]), arguments.positional[1:]
    use = translator.imports.use("caten_sd.nn", "unfold")
    named = [
        f"{name}={translator.value(arguments.options[name]).text}"
        for name in ("stride", "dilation")
        if name in arguments.options
    ]
    text = ", ".join([x.text, shape_text(sizes(translator, kernel, whole=True)), *named])
    return Expression(f"{use}({text})", "Tensor")


def _product(translator: Translator, arguments: Arguments) -> Expression:
    a, b = (tensor(translator, each) for each in arguments.positional)
    return infix("@", PRODUCT, [a, b], "Tensor", loose=a.loose or b.loose)


def _full(translator: Translator, arguments: Arguments) -> Expression:
    shape = sizes(translator, arguments.positional[:1])
    value = translator.value(arguments.positional[1], "float")
    if not is_scalar(value):
        raise translator.untranslatable(arguments.form, "its value is not a number")
    if isinstance(value.number, int):
        value = number(float(value.number))
    kind = arguments.options.get("dtype")
    name = "" if kind is None else dtype(translator, kind)
    return maker(translator, "full", shape_text(shape), value.text, dtype=name, floating=not name)


def _indices(translator: Translator, arguments: Arguments) -> Expression:
    datum = arguments.positional[0]
    like = translator.value(datum)
    if like.type == "Tensor":
        x = like.operand
        return maker(
            attrs.evolve(translator, device=f"{x}.device"),
            "arange",
            f"{x}.numel()",
            dtype=f"{x}.dtype",
        )
    shape = sizes(translator, [datum])
    if any(each.is_splat for each in shape) or (like.items is None and len(shape) == 1):
        raise translator.untranslatable(datum, "its sizes are not written out")
    long = [each for each in shape if each.text != "1"] or shape[:1]
    count = infix("*", PRODUCT, long, "int").text
    found, recast = (
        _reshaped(maker(translator, "arange", count, dtype=each), shape)
        for each in (f"{translator.imports.use('torch', '')}.float32", DTYPE)
    )
    return attrs.evolve(found, floating=True, recast=recast)


def _reshaped(found: Expression, shape: Sequence[Expression]) -> Expression:
    return found if len(shape) == 1 else method(found, "reshape", comma(shape))


def _random(name: str, translator: Translator, arguments: Arguments) -> Expression:
    if arguments.options:
        raise translator.untranslatable(arguments.form, "it has options")
    return maker(translator, name, comma(sizes(translator, arguments.positional[:1])))


# Shapes and dtypes


def _shape(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    return Expression(f"{x.operand}.shape", "Size", loose=x.loose)


def _rank(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    return Expression(f"{x.operand}.ndim", "int", loose=x.loose)


def _dtype_of(translator: Translator, arguments: Arguments) -> Expression:
    x = operand(translator, arguments.positional[0])
    return Expression(f"{x.operand}.dtype", "dtype", loose=x.loose)


FORMS: Mapping[str, OperatorForm] = {
    "!RESHAPE": partial(_sized, "reshape"),
    "!PERMUTE": partial(_sized, "permute"),
    "!EXPAND": partial(_sized, "expand"),
    "!REPEAT": partial(_sized, "repeat"),
    "!TRANSPOSE": _transpose,
    "!T": _transpose_last,
    "!UPRANK": _uprank,
    "!FLATTEN": _flatten,
    "!CHUNK": _chunk,
    "!SPLIT": _split,
    "!CONCATENATE": _concatenate,
    "!CONTIGUOUS": partial(_plain, "contiguous"),
    "!COPY": partial(_plain, "clone"),
    "!PADDING": _padding,
    "!PADDING2D": _padding,
    "!UNFOLD": _unfold,
    "!MATMUL": _product,
    "!FULL": _full,
    "!INDEX-COMPONENTS": _indices,
    "!RAND": partial(_random, "rand"),
    "!RANDN": partial(_random, "randn"),
    "SHAPE": _shape,
    "TENSOR-SHAPE": _shape,
    "NDIM": _rank,
    "DTYPE-OF": _dtype_of,
    "TENSOR-DTYPE": _dtype_of,
}
