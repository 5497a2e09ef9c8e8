"""Modules of tinygrad: objects of plain classes, whose attributes are their state, in order.

Such a class is in tinygrad.nn, or in a module that uses tinygrad, and has no other bases.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad import Tensor

from caten_sd.adapters.tinygrad.plain_module_layers import layers_of_module
from caten_sd.dispatch.foreign import packages_used_by
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.objects.class_kinds import AttrsInstance, DataclassInstance
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, slots_of
from caten_sd.objects.slots import SlotKind
from caten_sd.objects.uncounted import refuse_uncounted
from caten_sd.objects.watching import Watch, watching_class
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import spec_or_none

_HEAP_TYPE = 1 << 9  # of the flags of classes that Python code has made


class PlainModule(ABC):  # noqa: B024 (the hook decides which classes are its own)
    """Every plain class of a module that uses tinygrad."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not PlainModule:
            return NotImplemented
        if issubclass(other, (AttrsInstance, DataclassInstance, type, BaseException)):
            return False
        return other is not object and all(map(_is_plain, other.__mro__[:-1]))


def _is_plain(cls: type) -> bool:
    if not cls.__flags__ & _HEAP_TYPE or not cls.__dictoffset__ or "__slots__" in vars(cls):
        return False
    if cls.__module__.partition(".")[0] == "tinygrad":
        return cls.__module__.startswith("tinygrad.nn")
    return "tinygrad" in packages_used_by(cls)


class NoModule(ABC):  # noqa: B024 (the hook decides which classes are its own)
    """Every other class of tinygrad, as TinyJit, which keeps what a function has returned."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not NoModule:
            return NotImplemented
        package, _, rest = other.__module__.partition(".")
        return package == "tinygrad" and not rest.startswith("nn")


@to_state_dict.register(NoModule)
def _no_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    return []


@slots_of.register(PlainModule)
def _slots(module: Any, /) -> Iterator[Slot]:
    for name, value in vars(module).items():
        yield name, value, _kind(value)
        if type(value) in (dict, list, tuple):
            refuse_uncounted("tinygrad", module, [name], value, _is_of_another_world)


def _kind(value: Any) -> SlotKind:
    """Return the kind of an attribute; tinygrad does not count the arrays of others."""
    if isinstance(value, Tensor):
        return "state" if value.is_param else "buffer"
    return "cache" if _is_of_another_world(value) else "state"


def _is_of_another_world(value: Any) -> bool:
    return not isinstance(value, Tensor) and spec_or_none(value) is not None


class _PlainModuleHooks(OwnerHooks):
    def layers(self) -> Sequence[StandardLayer]:
        """Return what the module is as a layer: what its class says, or tinygrad's own classes."""
        return super().layers() or layers_of_module(self.owner)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Tell the watch of each call, by a class that the module has meanwhile."""
        with watching_class(self.owner, watch):
            yield


@hooks_of.register(PlainModule)
def _hooks(module: Any, /) -> OwnerHooks:
    return _PlainModuleHooks(module)
