"""FSDP's first version, which keeps its parameters as pieces of one flat tensor.

Its own state dict gathers them and gives copies, into which a load would be lost.
"""

# ruff: noqa: B024 (an ABC is what can say by a hook which classes belong to it)

from __future__ import annotations

from abc import ABC
from typing import Any

from torch import nn

from caten_sd.adapters.torch.wrapper_modules import inner_name
from caten_sd.errors import StateDictError
from caten_sd.loading.named_leaves import adapt
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.place import unwrap
from caten_sd.state.keys import Pair, Path, path_text


class FullySharded(ABC):
    """Stands for ``torch.distributed.fsdp.FullyShardedDataParallel``."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not FullySharded:
            return NotImplemented
        return inner_name(other) == "_fsdp_wrapped_module"


@to_state_dict.register(FullySharded)
def _pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    """Return the pairs inside, whose parameters are the model's own where nothing is divided."""
    handle = getattr(module, "_handle", None)
    if handle is not None and handle.uses_sharded_strategy:
        raise StateDictError(
            f"{path_text(parent)}, a {type(module).__name__}, is divided into flat pieces that are "
            f"not tensors of the model; divide it with fully_shard(), whose parameters are DTensors"
        )
    if handle is not None and not module._use_orig_params:
        raise StateDictError(
            f"{path_text(parent)}, a {type(module).__name__}, keeps one flat tensor and not the "
            f"model's; wrap it with use_orig_params=True, or use fully_shard()"
        )
    return to_state_dict(unwrap(module), parent)


@adapt.register(FullySharded)
def _as_it_is(module: nn.Module, /, *, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    """Leave the names alone: its hook would write those of the wrapped modules into them."""
