"""The slots of MLX's modules: their items that MLX counts as parameters, in its order.

A name that begins with "_" and a tuple are not counted. What is neither an array of MLX nor a dict,
a list or a module is passed over in such a dict or list too, so that an array there is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
from mlx import nn

from caten_sd.adapters.mlx.dict_module_layers import layers_of_module
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.objects.class_kinds import AttrsInstance, DataclassInstance
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, put, slots_of
from caten_sd.objects.slots import SlotKind
from caten_sd.objects.uncounted import refuse_uncounted
from caten_sd.objects.watching import Watch, watching_class
from caten_sd.state.live_mapping import LiveMapping

LiveMapping.register(nn.Module)


class DeclaredDictModule(AttrsInstance, DataclassInstance):
    """A module of MLX whose class is an attrs class or a dataclass: its items are its state."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DeclaredDictModule:
            return NotImplemented
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        return declared and issubclass(other, nn.Module)


@slots_of.register((nn.Module, DeclaredDictModule))
def _slots(module: Any, /) -> Iterator[Slot]:
    kept_frozen = _kept_frozen(module)
    for name, value in module.items():
        kind: SlotKind = "buffer" if name in kept_frozen else "state"
        if not nn.Module.valid_parameter_filter(module, str(name), value):
            kind = "cache"
        elif type(value) in (dict, list):
            refuse_uncounted("MLX", module, [name], value, _is_uncounted)
        yield name, value, kind


def _is_uncounted(value: Any) -> bool:
    """Return whether a value holds arrays and MLX passes it over."""
    return not isinstance(value, (mx.array, dict, list)) and bool(to_state_dict(value, []))


def _kept_frozen(module: Any) -> Iterable[str]:
    """Return the names that the class keeps frozen, as the statistics of BatchNorm."""
    if type(module).unfreeze is nn.Module.unfreeze:
        return ()
    names: Iterable[str] = vars(module).get("_no_grad", ())
    return names


@put.register((nn.Module, DeclaredDictModule))
def _put(module: Any, name: Any, value: Any, /) -> None:
    module[name] = value


class _DictModuleHooks(OwnerHooks):
    def layers(self) -> Sequence[StandardLayer]:
        """Return what the module is as a layer: what its class says, or MLX's own classes."""
        return super().layers() or layers_of_module(self.owner)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Tell the watch of each call, by a class that the module has meanwhile."""
        trained = self.owner.training
        self.owner._set_training_mode(False)
        try:
            with watching_class(self.owner, watch):
                yield
        finally:
            self.owner._set_training_mode(trained)


@hooks_of.register((nn.Module, DeclaredDictModule))
def _hooks(module: Any, /) -> OwnerHooks:
    return _DictModuleHooks(module)
