"""Kinds of classes without a common base: which classes belong to them."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from caten_sd.objects.class_kinds import (
    AttrsInstance,
    DataclassInstance,
    DeclaredMapping,
    NamedTuple,
)


@attrs.define
class Declared:
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Items(Mapping[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@attrs.define
class DeclaredItems(Items):
    x: int


Point = namedtuple("Point", "x y")
KINDS = (AttrsInstance, DataclassInstance, DeclaredMapping, NamedTuple)


@pytest.mark.parametrize(
    ("cls", "kinds"),
    [
        (Declared, {AttrsInstance}),
        (Data, {DataclassInstance}),
        (DeclaredItems, {AttrsInstance, DeclaredMapping}),
        (Items, set()),
        (Point, {NamedTuple}),
        (tuple, set()),
    ],
)
def test_the_kinds_of_a_class(cls: type, kinds: set[type]) -> None:
    assert {kind for kind in KINDS if issubclass(cls, kind)} == kinds


@pytest.mark.parametrize(
    ("kind", "cls"), list(zip(KINDS, (Declared, Data, DeclaredItems, Point), strict=True))
)
def test_a_subclass_of_a_kind_has_only_its_own_subclasses(kind: Any, cls: type) -> None:
    narrower = type("Narrower", (kind,), {})
    assert not issubclass(cls, narrower)
    assert issubclass(type("Member", (narrower,), {}), narrower)
