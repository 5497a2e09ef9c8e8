"""What of linen is frozen: dataclasses such as TrainState, and dicts.

A field that is not data holds no state.
"""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Iterator
from typing import Any

from flax.core import FrozenDict

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.class_kinds import DataclassInstance
from caten_sd.objects.owner import Slot, slots_of


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
        yield name, value, "state"


@hooks_of.register(FlaxDataclass)
def _hooks(node: Any, /) -> OwnerHooks:
    hooks = OwnerHooks(node)
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
