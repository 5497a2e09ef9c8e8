"""Random definitions of models, each with the shapes that Python gives for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st

Values = dict[str, Any]  # of the variables, by their names in Lisp


class Expression(NamedTuple):
    """A form, and what it gives for values of the variables."""

    form: str
    value: Callable[[Values], Any]


ARGUMENTS = ("n", "size-2", "k")
ROUNDINGS = {"floor": math.floor, "ceiling": math.ceil, "truncate": math.trunc, "round": round}
FOLDS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
CHOICES = {"max": max, "min": min}


def constant(number: Fraction | int) -> Expression:
    return Expression(str(number), lambda values: number)


def variable(name: str) -> Expression:
    return Expression(name, lambda values: values[name])


def folded(name: str, a: Expression, b: Expression) -> Expression:
    function = {**FOLDS, **CHOICES}[name]
    return Expression(
        f"({name} {a.form} {b.form})", lambda values: function(a.value(values), b.value(values))
    )


def rounded(name: str, a: Expression, by: int) -> Expression:
    return Expression(
        f"({name} {a.form} {by})",
        lambda values: ROUNDINGS[name](Fraction(a.value(values)) / by),
    )


def quotient(a: Expression, by: int) -> Expression:
    return Expression(f"(/ {a.form} {by})", lambda values: Fraction(a.value(values)) / by)


def chosen(a: Expression, b: Expression, c: Expression) -> Expression:
    return Expression(
        f"(if (< {a.form} {b.form}) {b.form} {c.form})",
        lambda values: (b if a.value(values) < b.value(values) else c).value(values),
    )


def bound(a: Expression, b: Expression) -> Expression:
    """Let n be one value in another: in Lisp by let, which does not see the new value."""
    return Expression(
        f"(let ((n {a.form})) {b.form})",
        lambda values: b.value({**values, "n": a.value(values)}),
    )


NUMBERS = st.recursive(
    st.integers(-9, 9).map(constant)
    | st.fractions(-3, 3, max_denominator=4).map(constant)
    | st.sampled_from(ARGUMENTS).map(variable),
    lambda inner: (
        st.builds(folded, st.sampled_from([*FOLDS, *CHOICES]), inner, inner)
        | st.builds(rounded, st.sampled_from([*ROUNDINGS]), inner, st.sampled_from([2, 3, -4]))
        | st.builds(quotient, inner, st.sampled_from([2, 3]))
        | st.builds(chosen, inner, inner, inner)
        | st.builds(bound, inner, inner)
    ),
    max_leaves=6,
)


def size(number: Expression) -> Expression:
    """Return a form for a size from 1 to 5."""
    return Expression(
        f"(1+ (mod (floor {number.form}) 5))",
        lambda values: math.floor(number.value(values)) % 5 + 1,
    )


SIZES = NUMBERS.map(size)
Shapes = dict[str, tuple[int, ...]]  # of the leaves of a slot, by the ends of their keys


def linear(a: Expression, b: Expression, *, bias: bool) -> Expression:
    def shapes(values: Values) -> Shapes:
        rows, columns = b.value(values), a.value(values)
        return {".weight": (rows, columns), **({".bias": (rows,)} if bias else {})}

    return Expression(f"(Linear {a.form} {b.form} :bias {'t' if bias else 'nil'})", shapes)


def norm(a: Expression) -> Expression:
    return Expression(
        f"(LayerNorm `(,{a.form}))",
        lambda values: {end: (a.value(values),) for end in (".affine", ".bias")},
    )


def tensor(a: Expression, b: Expression) -> Expression:
    return Expression(
        f"(rand (list {a.form} {b.form}))", lambda values: {"": (a.value(values), b.value(values))}
    )


MODULES = st.builds(linear, SIZES, SIZES, bias=st.booleans()) | SIZES.map(norm)
LEAVES = MODULES | st.builds(tensor, SIZES, SIZES)


def numbered(items: list[Shapes]) -> Shapes:
    return {f".{at}{end}": shape for at, item in enumerate(items) for end, shape in item.items()}


def repeated(times: Expression, each: Expression) -> Expression:
    return Expression(
        f"(loop repeat {times.form} collect {each.form})",
        lambda values: numbered([each.value(values)] * times.value(values)),
    )


def counted(times: Expression, each: Expression) -> Expression:
    return Expression(
        f"(loop for k from 1 to {times.form} collect {each.form})",
        lambda values: numbered(
            [each.value({**values, "k": k}) for k in range(1, times.value(values) + 1)]
        ),
    )


def mapped(numbers: list[int], each: Expression) -> Expression:
    listed = " ".join(map(str, numbers))
    return Expression(
        f"(mapcar (lambda (k) {each.form}) '({listed}))",
        lambda values: numbered([each.value({**values, "k": k}) for k in numbers]),
    )


SLOTS = st.one_of(
    LEAVES,
    st.builds(repeated, SIZES, LEAVES),
    st.builds(counted, SIZES, LEAVES),
    st.builds(mapped, st.lists(st.integers(-3, 3), min_size=1, max_size=3), LEAVES),
)


class RandomModel(NamedTuple):
    """The text of a definition, and the shapes of an instance for values of its arguments."""

    text: str
    shapes: Callable[[Values], Shapes]


@st.composite
def random_models(draw: st.DrawFn) -> RandomModel:
    """Draw a model M of the arguments n, size-2 and a key k, which may change n for later slots."""
    slots = draw(st.lists(SLOTS, min_size=1, max_size=4))
    changed = draw(st.none() | NUMBERS)
    rows = [f"(slot-{at} {slot.form})" for at, slot in enumerate(slots)]
    if changed is not None:
        rows.insert(0, f"(n {changed.form})")

    def shapes(values: Values) -> Shapes:
        if changed is not None:
            values = {**values, "n": changed.value(values)}
        found: Shapes = {}
        for at, slot in enumerate(slots):
            found |= {f"slot_{at}{end}": shape for end, shape in slot.value(values).items()}
        return found

    listed = "\n     ".join(rows)
    return RandomModel(f"(defmodel (M (n size-2 &key (k 3)))\n    ({listed}))", shapes)
