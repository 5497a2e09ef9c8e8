"""The slots of Equinox's modules: their fields, without those that are static.

A static field and a function are compared by JAX and never change, so a new module has the same
objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax

from caten_sd.adapters.equinox.module_layers import layers_of_module
from caten_sd.adapters.equinox.saved_order import name_by_position, saved_in_order
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.objects.class_kinds import DataclassInstance
from caten_sd.objects.owner import Slot, never_put, put, slots_of


class EquinoxModule(DataclassInstance):
    """A module of Equinox, each of which is a dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not EquinoxModule:
            return NotImplemented
        return issubclass(other, eqx.Module)


@slots_of.register(EquinoxModule)
def _slots(module: Any, /) -> Iterator[Slot]:
    for name, value in _fields(module, static=False):
        yield name, value, "state"


put.register(EquinoxModule)(never_put)  # a copy that copy.copy() makes would take it


class _UnnamedArrays(OwnerHooks):
    adapts = True

    def layers(self) -> Sequence[StandardLayer]:
        return super().layers() or layers_of_module(self.owner)

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        name_by_position(self.owner, saved_in_order(self.owner), prefix, leaves, source)


@hooks_of.register(EquinoxModule)
def _hooks(module: Any, /) -> OwnerHooks:
    hooks = _UnnamedArrays(module)
    dynamic = [value for _, value in _fields(module, static=False)]
    leaves = jax.tree_util.tree_leaves(dynamic, is_leaf=lambda each: isinstance(each, eqx.Module))
    functions = [each for each in leaves if callable(each) and not isinstance(each, eqx.Module)]
    hooks.constants = [*functions, *(value for _, value in _fields(module, static=True))]
    return hooks


def _fields(module: Any, *, static: bool) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(module):
        if field.metadata.get("static", False) is static and hasattr(module, field.name):
            yield field.name, getattr(module, field.name)
