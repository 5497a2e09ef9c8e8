"""State that a torch module makes up when it is asked, as quantised layers do of packed weights.

What it gives does not lie in it, so writing there would be lost. It is one unit with the module,
which takes it back all at once, by its own ``_load_from_state_dict``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load_target import may_synthesize, synthesized_slot
from caten_sd.loading.nested_state import copied
from caten_sd.objects.place import assign


class Unit:
    """A module as the place of everything that it makes up under these names."""

    def __init__(self, owner: nn.Module, names: frozenset[str]) -> None:
        self.owner, self.names = owner, names


@may_synthesize.register(nn.Module)
def _fabricates(module: nn.Module, /) -> bool:
    cls: Any = type(module)
    overridden = cls._save_to_state_dict is not nn.Module._save_to_state_dict
    hooked = bool(module._state_dict_hooks) or "state_dict" in module.__dict__
    return overridden or hooked or cls.state_dict is not nn.Module.state_dict


@synthesized_slot.register(nn.Module)
def _unit(module: nn.Module, /, *, leaves: Mapping[str, Any], owners: Iterable[Any]) -> Unit | None:
    lying = _memory(owner for owner in owners if isinstance(owner, nn.Module))
    made_up = [name for name, leaf in leaves.items() if not _lies(leaf, lying)]
    return Unit(module, frozenset(made_up) - {"_extra_state"}) if made_up else None


def _memory(modules: Iterable[nn.Module]) -> set[int]:
    """Return what tells the tensors of these modules: their ids and where their data begins."""
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


def _lies(leaf: Any, known: set[int]) -> bool:
    if not isinstance(leaf, torch.Tensor):
        return False
    return id(leaf) in known or _address(leaf) in known


@assign.register(Unit)
def _take_back(place: Unit, values: Mapping[str, Any], /) -> None:
    """Hand the module everything that it made up; LoadError for what it does not take."""
    refused: list[str] = []
    state = {name: copied(value) for name, value in values.items()}
    known = {"version": place.owner._version}
    place.owner._load_from_state_dict(state, "", known, False, [], [], refused)
    if refused:
        raise LoadError("; ".join(refused))
