"""State that a torch module computes when it is asked, as quantized layers do.

These leaves are not stored in the module, so a value written into one of them would be lost. The
module takes them back all at once, through its own ``_load_from_state_dict``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.nested_state import copied
from caten_sd.objects.place import assign


class SynthesizedState:
    """The slot for all the leaves that a module synthesizes, by their names in the module.

    ``beside`` names the stored tensors that the module saves beside them.
    """

    def __init__(self, owner: nn.Module, names: frozenset[str], beside: frozenset[str]) -> None:
        self.owner, self.names, self.beside = owner, names, beside

    @property
    def takes_back(self) -> bool:
        """Whether the module has code of its own that may take these leaves."""
        load = type(self.owner)._load_from_state_dict
        own = load is not nn.Module._load_from_state_dict
        return own or bool(self.owner._load_state_dict_pre_hooks) or _is_replaced(self.owner)


def _is_replaced(module: nn.Module) -> bool:
    return "_load_from_state_dict" in module.__dict__


def may_synthesize(module: nn.Module) -> bool:
    """Return whether state_dict() may hold tensors that the module does not store."""
    cls: Any = type(module)
    overridden = cls._save_to_state_dict is not nn.Module._save_to_state_dict
    hooked = bool(module._state_dict_hooks) or "state_dict" in module.__dict__
    return overridden or hooked or cls.state_dict is not nn.Module.state_dict


def synthesized_state(
    module: nn.Module, leaves: Mapping[str, Any], owners: Iterable[Any]
) -> SynthesizedState | None:
    """Return the slot of those leaves of a module that no module among the owners stores."""
    stored = _stored(owner for owner in owners if isinstance(owner, nn.Module))
    beside = frozenset(name for name, leaf in leaves.items() if _is_stored(leaf, stored))
    names = frozenset(leaves) - beside - {"_extra_state"}
    return SynthesizedState(module, names, beside) if names else None


def _stored(modules: Iterable[nn.Module]) -> set[int]:
    """Return the ids and the data addresses of all tensors of these modules."""
    known: set[int] = set()
    for module in modules:
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                known |= {id(tensor), _address(tensor)}
    return known - {0}


def _address(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError, ValueError):  # a subclass, a lazy parameter
        return 0


def _has_data(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and not nn.parameter.is_lazy(tensor) and not tensor.is_meta


def _is_stored(leaf: Any, stored: set[int]) -> bool:
    if not isinstance(leaf, torch.Tensor):
        return False
    return id(leaf) in stored or _address(leaf) in stored


@assign.register(SynthesizedState)
def _take_back(place: SynthesizedState, values: Mapping[str, Any], /) -> None:
    """Hand the module all the leaves that it synthesized; LoadError if it refuses one.

    Its own tensors are among them, since the module may look for them: each is copied onto itself.
    """
    refused: list[str] = []
    ignored: list[str] = []
    own = {**place.owner._parameters, **place.owner._buffers}
    held = {name: own[name] for name in place.beside if _has_data(own.get(name))}
    state = {**held, **{name: copied(value) for name, value in values.items()}}
    known = {"version": place.owner._version}
    place.owner._load_from_state_dict(state, "", known, True, [], ignored, refused)
    lost = [f"{type(place.owner).__name__} does not take {name} back" for name in ignored]
    if refused or lost:
        raise LoadError("; ".join(refused + lost))
