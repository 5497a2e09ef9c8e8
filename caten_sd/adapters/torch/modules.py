"""``torch.nn.Module`` as ``module.state_dict()`` sees it: its keys, order and leaves."""

from __future__ import annotations

from typing import Any

from torch import nn

from caten_sd.extract import AttrsInstance, DataclassInstance, children, to_state_dict
from caten_sd.state_dict import Name, Pair, Path


class DeclaredModule(AttrsInstance, DataclassInstance):
    """An ``nn.Module`` that is an attrs class or a dataclass too: torch says what its state is."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        if cls is not DeclaredModule:
            return NotImplemented
        return declared and issubclass(other, nn.Module)


@to_state_dict.register((nn.Module, DeclaredModule))
def _module_pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    """Return what ``module.state_dict(keep_vars=True)`` holds, in its order."""
    if not _is_plain(module):
        return _pairs_by_torch(module, parent)
    pairs: list[Pair] = []
    for name, parameter in module._parameters.items():
        if parameter is not None:
            pairs.append(([*parent, _element(name)], parameter))
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            pairs.append(([*parent, _element(name)], buffer))
    if type(module).get_extra_state is not nn.Module.get_extra_state:
        pairs.append(([*parent, "_extra_state"], module.get_extra_state()))
    if module._modules:
        named = module._modules.items()
        pairs += children(
            module, parent, [(_element(name), child) for name, child in named if child is not None]
        )
    return pairs


def _is_plain(module: nn.Module) -> bool:
    """Tell whether torch's own walk is all there is to this module's part of its state dict."""
    return not (
        module._state_dict_hooks
        or module._state_dict_pre_hooks
        or type(module).state_dict is not nn.Module.state_dict
        or type(module)._save_to_state_dict is not nn.Module._save_to_state_dict
        or "state_dict" in module.__dict__
    )


def _pairs_by_torch(module: nn.Module, parent: Path) -> list[Pair]:
    """Let torch run the hooks and overrides, which may look at everything below this module."""
    prefix = "".join(f"{part}." for part in parent)
    state = module.state_dict(prefix=prefix, keep_vars=True)
    return [
        ([*parent, *map(_element, key.removeprefix(prefix).split("."))], leaf)
        for key, leaf in state.items()
    ]


def _element(name: str) -> str:
    """Return a name given by torch as a path's element: data, so it keeps its hyphens."""
    return Name(name) if "-" in name else name
