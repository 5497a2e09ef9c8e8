"""Kinds of classes that have no base in common, as classes to dispatch on."""

# ruff: noqa: B024 (an ABC is what can say by a hook which classes belong to it)

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any


class AttrsInstance(ABC):
    """Stands for every attrs class."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return _marked(cls, other, "__attrs_attrs__") if cls is AttrsInstance else NotImplemented


class DataclassInstance(ABC):
    """Stands for every dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DataclassInstance:
            return NotImplemented
        return _marked(cls, other, "__dataclass_fields__")


class DeclaredMapping(AttrsInstance, DataclassInstance, Mapping[Any, Any]):
    """Stands for every attrs class and dataclass that inherits from Mapping: its slots count."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DeclaredMapping:
            return NotImplemented
        # Not issubclass(other, Mapping), which would come back here.
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        return declared and Mapping in other.__mro__


class NamedTuple(ABC):
    """Stands for every namedtuple; its fields are slots, not indices."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        named = issubclass(other, tuple) and hasattr(other, "_fields")
        return named if cls is NamedTuple else NotImplemented


def _marked(kind: type, other: type, mark: str) -> bool:
    """Tell a class that has the mark, or one that says it is of this kind."""
    return hasattr(other, mark) or kind in other.__mro__
