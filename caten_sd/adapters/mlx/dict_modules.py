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
from caten_sd.errors import StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.objects.class_kinds import AttrsInstance, DataclassInstance
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, put, slots_of
from caten_sd.objects.slots import SlotKind
from caten_sd.objects.watching import Watch, watching_class
from caten_sd.state.keys import Path, path_text
from caten_sd.state.live_mapping import LiveMapping
from caten_sd.wording import a_or_an

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
            _refuse_uncounted(type(module).__name__, value, [name])
        yield name, value, kind


def _kept_frozen(module: Any) -> Iterable[str]:
    """Return the names that the class keeps frozen, as the statistics of BatchNorm."""
    if type(module).unfreeze is nn.Module.unfreeze:
        return ()
    names: Iterable[str] = vars(module).get("_no_grad", ())
    return names


def _refuse_uncounted(owner: str, values: Any, path: Path) -> None:
    """Refuse an array in a dict or list of a module that MLX does not count as a parameter."""
    for name, value in values.items() if isinstance(values, dict) else enumerate(values):
        here = [*path, name]
        if type(value) in (dict, list):
            _refuse_uncounted(owner, value, here)
        elif not isinstance(value, (mx.array, dict, list)) and to_state_dict(value, here):
            raise StateDictError(
                f"{path_text(here)} of {owner} is {a_or_an(type(value).__name__)}, which MLX "
                f"does not count as a parameter, as its own save shows: make it an "
                f"mlx.core.array, or keep modules in a list and not in a tuple"
            )


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
