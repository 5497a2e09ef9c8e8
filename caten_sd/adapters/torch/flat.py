"""The first version of FSDP, which keeps its parameters as pieces of one flat tensor.

Its own state dict gathers the pieces and returns copies, so a load into them would be lost.
"""

# ruff: noqa: B024 (only an ABC can have a subclass hook)

from __future__ import annotations

from abc import ABC
from typing import Any

from torch import nn

from caten_sd.adapters.torch.module_hooks import ModuleHooks
from caten_sd.adapters.torch.wrapper_modules import inner_name
from caten_sd.errors import StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import unwrap
from caten_sd.state.keys import Pair, Path, path_text
from caten_sd.wording import a_or_an


class FullySharded(ABC):
    """Stands for ``torch.distributed.fsdp.FullyShardedDataParallel``."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not FullySharded:
            return NotImplemented
        return inner_name(other) == "_fsdp_wrapped_module"


@to_state_dict.register(FullySharded)
def _pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    """Return the wrapped model's pairs; its parameters are its own if nothing is divided."""
    handle = getattr(module, "_handle", None)
    if handle is not None and handle.uses_sharded_strategy:
        raise StateDictError(
            f"{path_text(parent)}, {a_or_an(type(module).__name__)}, is divided into pieces of "
            f"one flat "
            f"tensor, which are not the model's tensors; divide it with fully_shard(), which "
            f"makes each parameter a DTensor"
        )
    if handle is not None and not module._use_orig_params:
        raise StateDictError(
            f"{path_text(parent)}, {a_or_an(type(module).__name__)}, keeps one flat tensor "
            f"instead of the "
            f"model's tensors; wrap it with use_orig_params=True, or use fully_shard()"
        )
    return to_state_dict(unwrap(module), parent)


class FlatHooks(ModuleHooks):
    """The same without rewriting names: FSDP's hook would add its own segments to them."""

    adapts = False


@hooks_of.register(FullySharded)
def _flat_hooks(module: nn.Module, /) -> OwnerHooks:
    return FlatHooks(module)
