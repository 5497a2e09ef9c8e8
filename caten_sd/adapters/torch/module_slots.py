"""The slots of a ``torch.nn.Module``: its parameters, buffers and children, in torch's order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from caten_sd.adapters.torch.dtensor import Divided
from caten_sd.adapters.torch.modules import DeclaredModule
from caten_sd.objects.owner import Slot, keeps, keeps_another, put, slots_of

EXTRA_STATE = "_extra_state"  # torch's name for what a module adds to its tensors


@slots_of.register((nn.Module, DeclaredModule))
def _module_slots(module: nn.Module, /) -> Iterator[Slot]:
    computed = module._non_persistent_buffers_set
    for name, parameter in module._parameters.items():
        yield name, parameter, "state"
    for name, buffer in module._buffers.items():
        yield name, buffer, "computed" if name in computed else "buffer"
    for name, child in module._modules.items():
        yield name, child, "state"


@put.register((nn.Module, DeclaredModule))
def _put_into_module(module: nn.Module, name: Any, value: Any, /) -> None:
    if name == EXTRA_STATE:
        module.set_extra_state(value)
        return
    tables: list[dict[str, Any]] = [module._parameters, module._buffers]
    table = next((each for each in tables if name in each), {})
    old = table.get(name)
    setattr(module, name, value)
    if name in table and not keeps(table[name], value):
        table[name] = old
        raise keeps_another(module)


@put.after(nn.Module, object, Divided)
def _run_fsdp_hooks(module: nn.Module, name: Any, value: Any, /) -> None:
    """Let FSDP find its new parameter, as torch's own load does; else it keeps the old one."""
    for hook in module._load_state_dict_post_hooks.values():
        if str(getattr(hook, "__module__", "")).startswith("torch.distributed.fsdp"):
            hook(module, None)
