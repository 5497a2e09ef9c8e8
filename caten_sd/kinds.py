"""Kinds of classes that have no base in common, as classes to dispatch on."""

from __future__ import annotations

from abc import ABC
from typing import Any


class AttrsInstance(ABC):
    """Stands for every attrs class."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return hasattr(other, "__attrs_attrs__") if cls is AttrsInstance else NotImplemented


class DataclassInstance(ABC):
    """Stands for every dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        marked = hasattr(other, "__dataclass_fields__")
        return marked if cls is DataclassInstance else NotImplemented


class NamedTuple(ABC):
    """Stands for every namedtuple; its fields are slots, not indices."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        named = issubclass(other, tuple) and hasattr(other, "_fields")
        return named if cls is NamedTuple else NotImplemented
