"""Run the modules' own hooks that rewrite a file of an older version, and load nothing."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from caten_sd.errors import CatenError
from caten_sd.state.leaf import Torch, as_array

_ABSENT = object()


class AsTensors(MutableMapping[str, Any]):
    """A view of leaves as hooks expect them: each becomes a tensor when it is read."""

    def __init__(self, leaves: dict[str, Any]) -> None:
        self.leaves = leaves
        self._changes: list[tuple[str, Any]] = []

    def undo(self) -> None:
        """Restore the leaves as they were before the first change."""
        for key, leaf in reversed(self._changes):
            if leaf is _ABSENT:
                del self.leaves[key]
            else:
                self.leaves[key] = leaf

    def __getitem__(self, key: str) -> Any:
        leaf = self.leaves[key]
        if isinstance(leaf, torch.Tensor):
            return leaf
        try:
            self.leaves[key] = as_array(Torch(), leaf)
        except CatenError:
            return leaf
        return self.leaves[key]

    def __setitem__(self, key: str, leaf: Any) -> None:
        self._changes.append((key, self.leaves.get(key, _ABSENT)))
        self.leaves[key] = leaf

    def __delitem__(self, key: str) -> None:
        self._changes.append((key, self.leaves[key]))
        del self.leaves[key]

    def __contains__(self, key: object) -> bool:
        return key in self.leaves

    def __iter__(self) -> Iterator[str]:
        return iter(self.leaves)

    def __len__(self) -> int:
        return len(self.leaves)

    def copy(self) -> dict[str, Any]:
        """Return a plain dict."""
        return dict(self)


def may_adapt(module: nn.Module) -> bool:
    """Return whether a module may rewrite a state dict that it is to load."""
    return _overrides(module) or bool(module._load_state_dict_pre_hooks)


def _overrides(module: nn.Module) -> bool:
    return type(module)._load_from_state_dict is not nn.Module._load_from_state_dict


def adapt(module: nn.Module, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    """Run the hooks that rewrite a state dict, and an overridden ``_load_from_state_dict``.

    The latter runs on a twin whose tensors have no data, so it loads nothing into the model.
    """
    known = dict((versions or {}).get(prefix.removesuffix("."), {}))
    view = AsTensors(leaves)
    try:
        _run(module, view, prefix, known)
    except Exception:  # a key that it needs is absent, which the plan will name
        view.undo()


def _run(module: nn.Module, view: AsTensors, prefix: str, known: dict[str, Any]) -> None:
    arguments: tuple[Any, ...] = view, prefix, known, False, [], [], []
    for hook in list(module._load_state_dict_pre_hooks.values()):
        # A lazy module's own hook sets its shapes; only the load may do that, not the plan.
        if getattr(getattr(hook, "hook", hook), "__name__", "") != "_lazy_load_hook":
            hook(*arguments)
    if _overrides(module):
        known["assign_to_params_buffers"] = True
        extra = {k: view.leaves.pop(k) for k in [f"{prefix}_extra_state"] if k in view.leaves}
        try:
            _twin(module)._load_from_state_dict(*arguments)
        finally:
            view.leaves.update(extra)


def run_post_hooks(module: nn.Module, missing: list[str], unexpected: list[str]) -> None:
    """Run the hooks that torch runs after a load."""
    if module._load_state_dict_post_hooks:
        known = _IncompatibleKeys(missing, unexpected)
        for hook in list(module._load_state_dict_post_hooks.values()):
            hook(module, known)


def _twin(module: nn.Module) -> nn.Module:
    """Return a module with this one's attributes, but with tensors of its own without data."""
    twin: nn.Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    for table in ("_parameters", "_buffers"):
        tensors = getattr(module, table).items()
        twin.__dict__[table] = {name: _empty(tensor) for name, tensor in tensors}
    twin.__dict__["_modules"] = dict(module._modules)
    twin.__dict__["_load_state_dict_pre_hooks"] = {}
    return twin


def _empty(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """Return a tensor without data; a single number is copied, since modules count in them."""
    if tensor is None or nn.parameter.is_lazy(tensor):
        return None
    detached = tensor.detach()
    plain = detached.clone() if tensor.numel() == 1 else torch.empty_like(detached, device="meta")
    return nn.Parameter(plain, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else plain
