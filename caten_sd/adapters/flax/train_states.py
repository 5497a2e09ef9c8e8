"""What of linen is frozen: dataclasses such as TrainState, and dicts.

A field that is not data holds no state. A number in one that is data is a leaf.
"""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Iterator
from typing import Any

from flax.core import FrozenDict

from caten_sd.adapters.flax.field_numbers import NewNumber, as_leaf, with_numbers
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.class_kinds import DataclassInstance
from caten_sd.objects.owner import Slot, put, slots_of


class FlaxDataclass(DataclassInstance):
    """A dataclass that ``flax.struct.dataclass`` has made, with or without PyTreeNode as base."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not FlaxDataclass:
            return NotImplemented
        return hasattr(other, "_flax_dataclass")


@slots_of.register(FlaxDataclass)
def _slots(node: Any, /) -> Iterator[Slot]:
    for name, value in _fields(node, data=True):
        yield name, with_numbers(node, name, value), "state"


@put.register(FlaxDataclass, object, NewNumber)
def _put_number(node: Any, name: Any, value: Any, /) -> None:
    put(node, name, value.number)


class _FrozenHooks(OwnerHooks):
    """A file may have a number where this has an array, or the other way round."""

    adapts = True

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        for name, _ in _fields(self.owner, data=True):
            if (key := f"{prefix}{name}") in leaves:
                leaves[key] = as_leaf(leaves[key])


@hooks_of.register(FlaxDataclass)
def _hooks(node: Any, /) -> OwnerHooks:
    hooks = _FrozenHooks(node)
    hooks.constants = [value for _, value in _fields(node, data=False)]
    return hooks


def _fields(node: Any, *, data: bool) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(node):
        if field.metadata.get("pytree_node", True) is data and hasattr(node, field.name):
            yield field.name, getattr(node, field.name)


def _reduced(frozen: FrozenDict[Any, Any]) -> tuple[Any, ...]:
    return FrozenDict, (dict(frozen.items()),)


# Its own __reduce__ makes the boxes in it anew, so that a deepcopy could not replace them.
copyreg.pickle(FrozenDict, _reduced)
