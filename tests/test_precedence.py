"""Laws of the order of methods, over random hierarchies: order, stock, singledispatch."""

from __future__ import annotations

import functools
import itertools
import warnings
from abc import ABC, ABCMeta
from collections.abc import (
    Callable,
    Container,
    Hashable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    Set,
    Sized,
)
from types import new_class
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from multipledispatch.conflict import AmbiguityWarning
from multipledispatch.dispatcher import Dispatcher

from caten_sd.errors import AmbiguousMethodError, DispatchError
from caten_sd.generic import GenericFunction, generic

Classes = tuple[type, ...]

thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def empty(arity: int) -> GenericFunction[..., Any]:
    @generic
    def one(a: Any, /) -> Any: ...

    @generic
    def two(a: Any, b: Any, /) -> Any: ...

    @generic
    def three(a: Any, b: Any, c: Any, /) -> Any: ...

    return (one, two, three)[arity - 1]


def answers(signatures: tuple[Classes, ...], types: Classes) -> Any:
    """The signature that answers, or the class of the error."""
    function = empty(len(types))
    for classes in signatures:
        function.add(classes, lambda *args, found=classes: found)
    try:
        return function.dispatch(*types)(*types)
    except DispatchError as error:
        return type(error)


def redundant(bases: Classes) -> bool:
    return any(late in early.__mro__ for early, late in itertools.combinations(bases, 2))


@st.composite
def hierarchies(draw: st.DrawFn) -> list[type]:
    """ABCs over ABCs, then classes over both; some satisfy an ABC by registration or by a hook."""
    some = functools.partial(st.lists, unique=True)
    abcs: list[Any] = []
    for number in range(draw(st.integers(1, 4))):
        bases = tuple(draw(some(st.sampled_from(abcs), max_size=2))) if abcs else ()
        assume(not redundant(bases))
        abcs.append(abstract(f"V{number}", bases, hooked=draw(st.booleans())))
    plain: list[type] = []
    for number in range(draw(st.integers(1, 5))):
        bases = tuple(draw(some(st.sampled_from(plain + abcs), max_size=3)))
        assume(not redundant(bases))
        virtual = draw(some(st.sampled_from(abcs), max_size=2))
        plain.append(concrete(f"C{number}", bases, virtual))
    return abcs + plain


def abstract(name: str, bases: Classes, hooked: bool) -> type:
    try:
        cls = ABCMeta(name, bases, {})
    except TypeError:  # no consistent MRO
        assume(False)
    if hooked:
        marker = f"is_{name}"

        def hook(asked: type, other: type) -> Any:
            if asked is not cls:
                return NotImplemented
            return any(marker in each.__dict__ for each in other.__mro__) or NotImplemented

        cls.marker, cls.__subclasshook__ = marker, classmethod(hook)  # type: ignore[attr-defined]
    return cls


def concrete(name: str, bases: Classes, virtual: list[Any]) -> type:
    markers = {v.__dict__["marker"]: True for v in virtual if "marker" in v.__dict__}
    try:
        cls = new_class(name, bases, exec_body=lambda body: body.update(markers))
    except TypeError:
        assume(False)
    for each in virtual:
        if "marker" not in each.__dict__ and not issubclass(cls, each):
            each.register(cls)
    return cls


@st.composite
def questions(draw: st.DrawFn, arity: int | None = None) -> tuple[list[type], list[Classes], Any]:
    """A hierarchy, signatures over it, and the types of a call."""
    classes = draw(hierarchies())
    count = arity or draw(st.integers(1, 3))
    place = st.sampled_from([*classes, object] if arity is None else classes)
    places = st.tuples(*[place] * count)
    signatures = draw(st.lists(places, min_size=1, max_size=4, unique=True))
    return classes, signatures, draw(st.tuples(*[st.sampled_from(classes)] * count))


@thorough
@given(questions())
def test_the_answer_is_the_same_in_every_order_of_registration(question: Any) -> None:
    _, signatures, types = question
    assert len({answers(order, types) for order in itertools.permutations(signatures)}) == 1


@thorough
@given(questions())
def test_a_signature_that_supersedes_all_others_answers_as_in_multipledispatch(
    question: Any,
) -> None:
    _, signatures, types = question
    applicable = [s for s in signatures if all(map(issubclass, types, s))]
    best = [s for s in applicable if all(all(map(issubclass, s, o)) for o in applicable)]
    assume(best)
    stock = Dispatcher("stock")
    for classes in signatures:
        stock.add(classes, lambda *args, found=classes: found)
    with warnings.catch_warnings():
        # It warns of every pair that could ever clash, not of this call.
        warnings.simplefilter("ignore", AmbiguityWarning)
        assert answers(tuple(signatures), types) == stock.dispatch(*types)() == best[0]


def singledispatched(signatures: tuple[Classes, ...], cls: type) -> Any:
    function = functools.singledispatch(lambda _: (object,))
    for classes in signatures:
        function.register(classes[0], lambda _, found=classes: found)
    try:
        return function.dispatch(cls)(None)
    except RuntimeError as error:
        return AmbiguousMethodError if "Ambiguous" in str(error) else RuntimeError


def against_its_mro(cls: type) -> bool:
    """Whether a class inherits two classes in the order opposite to that of a registration."""
    return any(issubclass(late, early) for early, late in itertools.combinations(cls.__mro__, 2))


def ordered_by_a_bystander(cls: type, registered: list[type], everything: list[type]) -> bool:
    """Whether singledispatch takes its order of two ABCs from a third that has no method."""
    implicit = [each for each in registered if each not in cls.__mro__]
    return any(
        len(set(each.__mro__) & set(implicit)) > 1
        for each in everything
        if each not in registered and each not in cls.__mro__ and issubclass(cls, each)
    )


@thorough
@given(questions(arity=1))
def test_one_argument_answers_as_in_singledispatch(question: Any) -> None:
    classes, signatures, (cls,) = question
    # singledispatch is taken at its word where it gives one: not where the order of registration
    # or a class without a method decides. Against a class's own MRO we side with multipledispatch.
    assume(not against_its_mro(cls))
    assume(not ordered_by_a_bystander(cls, [s[0] for s in signatures], classes))
    theirs = {singledispatched(order, cls) for order in itertools.permutations(signatures)}
    assume(len(theirs) == 1 and RuntimeError not in theirs)
    ours = answers(tuple({(object,): None, **dict.fromkeys(signatures)}), (cls,))
    assert {ours} == theirs


class Explicit(Sized):
    def __len__(self) -> int: ...


def registered(*abcs: Any, bases: Classes = ()) -> type:
    cls = type("Registered", bases, {"__len__": lambda self: 0} if Sized in bases else {})
    for each in abcs:
        each.register(cls)
    return cls


@pytest.mark.parametrize(
    ("cls", "classes", "expected"),
    [
        (dict, (Sized, Mapping, MutableMapping), MutableMapping),
        (dict, (Sized, Iterable), AmbiguousMethodError),
        (dict, (Sized, dict), dict),
        (bool, (int, Hashable), int),
        # What a class inherits goes before what it is registered as,
        (registered(Iterable, bases=(Sized,)), (Sized, Iterable), Sized),
        (registered(Container, Iterable, bases=(Sized,)), (Sized, Iterable, Container), Sized),
        # unless that is more specific.
        (registered(Set, bases=(Sized,)), (Sized, Iterable, Set), Set),
        (registered(Iterable, Container), (Iterable, Container), AmbiguousMethodError),
        # list is registered as a Sequence: more specific than what is inherited before it.
        (
            type("Both", (Sequence, list), {}),
            (Sequence, list),
            list,
        ),
        (type("Both", (MutableSequence, dict), {}), (Sequence, Mapping), Sequence),
    ],
)
def test_an_abc_stands_where_its_class_brings_it_in(
    cls: type, classes: Classes, expected: Any
) -> None:
    for order in itertools.permutations(classes):
        answer = answers(tuple((each,) for each in order), (cls,))
        assert answer == ((expected,) if expected in classes else expected)


def test_the_leftmost_argument_decides_first() -> None:
    class A: ...

    class B(A): ...

    for order in itertools.permutations([(A, B), (B, A)]):
        assert answers(order, (B, B)) == (B, A)
        assert answers((*order, (B, B)), (B, B)) == (B, B)


def test_an_ambiguity_on_the_left_is_not_settled_on_the_right() -> None:
    assert answers(((Sized, object), (Iterable, int)), (dict, int)) is AmbiguousMethodError
    assert answers(((Sized, object), (Sized, int), (ABC, int)), (dict, int)) == (Sized, int)


def test_more_specific_abcs_make_less_specific_ones_irrelevant() -> None:
    signatures: Callable[..., Any] = itertools.permutations
    for order in signatures([(Sized,), (Iterable,), (Mapping,)]):
        assert answers(order, (dict,)) == (Mapping,)
