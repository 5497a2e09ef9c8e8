"""Kinds of classes without a common base, as abstract classes to dispatch on."""

# ruff: noqa: B024 (only an ABC has a hook that decides which classes are its own)

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any


class AttrsInstance(ABC):
    """Every attrs class."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return _has_mark(cls, other, "__attrs_attrs__") if cls is AttrsInstance else NotImplemented


class DataclassInstance(ABC):
    """Every dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DataclassInstance:
            return NotImplemented
        return _has_mark(cls, other, "__dataclass_fields__")


class DeclaredMapping(AttrsInstance, DataclassInstance, Mapping[Any, Any]):
    """Every attrs class and dataclass that is a Mapping: its slots are its state, not its items."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DeclaredMapping:
            return NotImplemented
        # issubclass(other, Mapping) would call this hook again.
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        return declared and Mapping in other.__mro__


class NamedTuple(ABC):
    """Every namedtuple; its fields are slots, not indices."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        named = issubclass(other, tuple) and hasattr(other, "_fields")
        return named if cls is NamedTuple else NotImplemented


def _has_mark(kind: type, other: type, mark: str) -> bool:
    """Return whether a class has the attribute of this kind, or inherits from the kind."""
    return hasattr(other, mark) or kind in other.__mro__
