"""Laws of the order of methods, over random hierarchies: order, stock, singledispatch."""

from __future__ import annotations

import functools
import itertools
import warnings
from abc import ABC, ABCMeta
from collections.abc import (
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
from hypothesis import given, settings
from hypothesis import strategies as st
from multipledispatch.conflict import AmbiguityWarning
from multipledispatch.dispatcher import Dispatcher

from caten_sd.dispatch.generic import GenericFunction, generic
from caten_sd.errors import AmbiguousMethodError, DispatchError, NoApplicableMethodError
from tests.properties import examples

Classes = tuple[type, ...]

thorough = settings(max_examples=examples(150))


def empty(arity: int) -> GenericFunction[..., Any]:
    @generic
    def one(a: Any, /) -> Any: ...

    @generic
    def two(a: Any, b: Any, /) -> Any: ...

    @generic
    def three(a: Any, b: Any, c: Any, /) -> Any: ...

    return (one, two, three)[arity - 1]


def answers(signatures: tuple[Classes, ...], calls: list[Classes]) -> list[Any]:
    """For each call the signature that answers, or the class of the error."""
    function = empty(len(signatures[0]))
    for classes in signatures:
        function.add(classes, lambda *args, found=classes: found)
    return [answer(function, types) for types in calls]


def answer(function: GenericFunction[..., Any], types: Classes) -> Any:
    try:
        return function.dispatch(*types)(*types)
    except DispatchError as error:
        return type(error)


@st.composite
def hierarchies(draw: st.DrawFn) -> list[type]:
    """ABCs over ABCs, then classes over both; some satisfy an ABC by registration or by a hook."""
    some = functools.partial(st.lists, unique=True)
    abcs: list[Any] = []
    for number in range(draw(st.integers(1, 4))):
        bases = draw(some(st.sampled_from(abcs), max_size=2)) if abcs else []
        abcs.append(abstract(f"V{number}", bases, hooked=draw(st.booleans())))
    plain: list[type] = []
    for number in range(draw(st.integers(1, 5))):
        bases = draw(some(st.sampled_from(plain + abcs), max_size=3))
        virtual = draw(some(st.sampled_from(abcs), max_size=2))
        plain.append(concrete(f"C{number}", bases, virtual))
    return abcs + plain


def abstract(name: str, bases: list[type], hooked: bool) -> type:
    cls = derive(name, bases, ABCMeta, {})
    if hooked:
        marker = f"is_{name}"

        def hook(asked: type, other: type) -> Any:
            if asked is not cls:
                return NotImplemented
            return any(marker in each.__dict__ for each in other.__mro__) or NotImplemented

        cls.marker, cls.__subclasshook__ = marker, classmethod(hook)  # type: ignore[attr-defined]
    return cls


def concrete(name: str, bases: list[type], virtual: list[Any]) -> type:
    markers = {v.__dict__["marker"]: True for v in virtual if "marker" in v.__dict__}
    cls = derive(name, bases, type, markers)
    for each in virtual:
        if "marker" not in each.__dict__ and not issubclass(cls, each):
            each.register(cls)
    return cls


def derive(name: str, bases: list[type], metaclass: type, body: dict[str, Any]) -> type:
    """A class of these bases, less those that others imply, and of one if they do not go along."""
    implied = {late for early, late in itertools.combinations(bases, 2) if late in early.__mro__}
    kept = tuple(base for base in bases if base not in implied)
    try:
        return new_class(name, kept, {"metaclass": metaclass}, lambda space: space.update(body))
    except TypeError:
        return new_class(name, kept[:1], {"metaclass": metaclass}, lambda space: space.update(body))


@st.composite
def questions(draw: st.DrawFn, most: int = 3) -> tuple[list[type], list[Classes], list[Classes]]:
    """A hierarchy, signatures over it, and the types of some calls."""
    classes = draw(hierarchies())
    count = draw(st.integers(1, most))
    places = st.tuples(*[st.sampled_from([*classes, object])] * count)
    signatures = draw(st.lists(places, min_size=1, max_size=4, unique=True))
    if count == 1:
        return classes, signatures, [(cls,) for cls in classes]
    calls = st.tuples(*[st.sampled_from(classes)] * count)
    return classes, signatures, draw(st.lists(calls, min_size=1, max_size=8))


@thorough
@given(questions())
def test_the_answer_is_the_same_in_every_order_of_registration(question: Any) -> None:
    _, signatures, calls = question
    first, *others = (answers(order, calls) for order in itertools.permutations(signatures))
    assert all(each == first for each in others)


@thorough
@given(questions())
def test_a_signature_that_supersedes_all_others_answers_as_in_multipledispatch(
    question: Any,
) -> None:
    _, signatures, calls = question
    stock = Dispatcher("stock")
    for classes in signatures:
        stock.add(classes, lambda *args, found=classes: found)
    for types, ours in zip(calls, answers(tuple(signatures), calls), strict=True):
        applicable = [s for s in signatures if all(map(issubclass, types, s))]
        best = [s for s in applicable if all(all(map(issubclass, s, o)) for o in applicable)]
        with warnings.catch_warnings():
            # It warns of every pair that could ever clash, not of this call.
            warnings.simplefilter("ignore", AmbiguityWarning)
            theirs = stock.dispatch(*types)
        if best:
            assert ours == theirs() == best[0]
        elif theirs is None:
            assert ours is NoApplicableMethodError


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
    implicit = {each for each in registered if each not in cls.__mro__}
    return any(
        len(implicit.intersection(each.__mro__)) > 1
        for each in everything
        if each not in registered and each not in cls.__mro__ and issubclass(cls, each)
    )


@thorough
@given(questions(most=1))
def test_one_argument_answers_as_in_singledispatch(question: Any) -> None:
    classes, signatures, calls = question
    registered = tuple({(object,): None, **dict.fromkeys(signatures)})
    for (cls,), ours in zip(calls, answers(registered, calls), strict=True):
        # It is taken at its word where it gives one: not where the order of registration or a
        # class without a method decides. Against a class's own MRO we side with multipledispatch.
        if against_its_mro(cls) or ordered_by_a_bystander(cls, [s[0] for s in signatures], classes):
            continue
        theirs = {singledispatched(order, cls) for order in itertools.permutations(signatures)}
        if len(theirs) == 1 and RuntimeError not in theirs:
            assert {ours} == theirs


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
        found = answers(tuple((each,) for each in order), [(cls,)])
        assert found == [(expected,) if expected in classes else expected]


def test_the_leftmost_argument_decides_first() -> None:
    class A: ...

    class B(A): ...

    for order in itertools.permutations([(A, B), (B, A)]):
        assert answers(order, [(B, B)]) == [(B, A)]
        assert answers((*order, (B, B)), [(B, B)]) == [(B, B)]


def test_an_ambiguity_on_the_left_is_not_settled_on_the_right() -> None:
    assert answers(((Sized, object), (Iterable, int)), [(dict, int)]) == [AmbiguousMethodError]
    assert answers(((Sized, object), (Sized, int), (ABC, int)), [(dict, int)]) == [(Sized, int)]
