"""``torch.nn.Module``: the keys, the order and the leaves of ``module.state_dict()``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from caten_sd.adapters.torch.wrapper_modules import inner_name, inner_of
from caten_sd.errors import StateDictError
from caten_sd.objects.class_kinds import AttrsInstance, DataclassInstance
from caten_sd.objects.declared_slots import DeclaredSlot, declared_slots
from caten_sd.objects.extract import children, is_extracted, to_state_dict
from caten_sd.state.keys import Pair, Path, path_element, path_text
from caten_sd.wording import a_or_an

MAX_DEPTH = 500  # levels that our walk follows; torch's own ends at Python's recursion limit


class DeclaredModule(AttrsInstance, DataclassInstance):
    """An ``nn.Module`` that is an attrs class or a dataclass too: its state is the module's."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        if cls is not DeclaredModule:
            return NotImplemented
        return declared and issubclass(other, nn.Module)


@to_state_dict.register((nn.Module, DeclaredModule))
def _module_pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    """Return what ``module.state_dict(keep_vars=True)`` holds, in its order.

    A module inside that has a ``to_state_dict`` method of its own gives its pairs by that method.
    The segments that ``torch.compile`` and the data-parallel wrappers add to keys are left out.
    """
    pairs = _plain_pairs(module, parent)
    if pairs is not None:
        return pairs
    below = _classes_below(module)
    _refuse_keys([type(module), *below])
    taught = [cls for cls in below if not _is_untaught(cls)]
    if not taught:
        try:
            return _pairs_by_torch(module, parent)
        except RecursionError:
            pass  # the walk by child names the path at which the module holds itself
    elif not _is_plain(type(module)) or _has_hooks(module):
        raise StateDictError(
            f"{path_text(parent)}, {a_or_an(type(module).__name__)}, changes its state dict by "
            f"a hook or "
            f"an override, and {taught[0].__name__} inside it has a to_state_dict method: "
            f"register one for {type(module).__name__} too"
        )
    return _pairs_by_child(module, parent)


def _plain_pairs(root: nn.Module, parent: Path) -> list[Pair] | None:
    """Do torch's walk ourselves; None where a hook, an override or a taught class is met."""
    pairs: list[Pair] = []
    if not _is_plain(type(root)):
        return None
    plain, all_buffers = _PlainClasses(), is_extracted("computed")
    stack = [(root, list(parent))]
    while stack:
        module, path = stack.pop()
        special = module is not root and not plain[type(module)]
        if special or _has_hooks(module) or len(path) > MAX_DEPTH:
            return None
        for name, parameter in module._parameters.items():
            if parameter is not None:
                pairs.append(([*path, path_element(name)], parameter))
        for name, buffer in module._buffers.items():
            if buffer is None:
                continue
            if all_buffers or name not in module._non_persistent_buffers_set:
                pairs.append(([*path, path_element(name)], buffer))
        below = [(m, [*path, path_element(n)]) for n, m in module._modules.items() if m is not None]
        stack += below[::-1]
    return pairs


class _PlainClasses(dict[type, bool]):
    """Whether torch's own walk is enough for a class; found out once per state dict."""

    def __missing__(self, cls: type) -> bool:
        self[cls] = answer = _is_plain(cls) and _is_untaught(cls)
        return answer


def _is_plain(cls: type) -> bool:
    """Return whether a class changes nothing of torch's walk and is not a wrapper."""
    methods = ("state_dict", "_save_to_state_dict", "get_extra_state")
    overrides = any(getattr(cls, m) is not getattr(nn.Module, m) for m in methods)
    return not overrides and inner_name(cls) is None and not _renamed(cls)


def _renamed(cls: type) -> list[DeclaredSlot]:
    """Return the slots with another key than their name, which torch knows nothing about."""
    return [each for each in declared_slots(cls) if each.element != each.name]


def _refuse_keys(classes: Iterable[type]) -> None:
    for cls in classes:
        for each in _renamed(cls):
            raise StateDictError(
                f"the slot {each.name} of {cls.__name__} declares the key {each.element!r}, but "
                f"the keys of a torch.nn.Module are torch's own; do not declare it, or make "
                f"{cls.__name__} a caten_sd.nn.Module"
            )


def _has_hooks(module: nn.Module) -> bool:
    """Return whether this object, as opposed to its class, changes torch's walk."""
    own = module.__dict__
    hooked = module._state_dict_hooks or module._state_dict_pre_hooks
    return bool(hooked) or "state_dict" in own or "_save_to_state_dict" in own


def _is_untaught(cls: type) -> bool:
    return to_state_dict.dispatch(cls) is _module_pairs


def _classes_below(root: nn.Module) -> dict[type, None]:
    """Return the classes of all modules below a module, in order."""
    found, seen = [root], {id(root)}  # an attrs module is not hashable
    for module in found:
        for child in module._modules.values():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                found.append(child)
    return dict.fromkeys(map(type, found[1:]))


def _pairs_by_torch(module: nn.Module, parent: Path) -> list[Pair]:
    """Let torch run the hooks and overrides, which may look at all of the module."""
    state = module.state_dict(keep_vars=True)
    if is_extracted("computed"):
        state |= {
            f"{prefix}.{name}".lstrip("."): buffer
            for prefix, inner in module.named_modules(remove_duplicate=False)
            for name, buffer in _computed(inner)
        }
    return [([*parent, *_path(module, key)], leaf) for key, leaf in state.items()]


def _computed(module: nn.Module) -> list[tuple[str, Any]]:
    """Return the buffers that a module holds itself and does not save."""
    names = module._non_persistent_buffers_set
    return [(n, b) for n, b in module._buffers.items() if n in names and b is not None]


def _path(root: nn.Module, key: str) -> Path:
    """Return torch's key as a path without the segments that wrappers added."""
    path: Path = []
    module: nn.Module | None = root
    for name in key.split("."):
        while module is not None and (inner := inner_of(module)) not in (None, name):
            module = module._modules.get(str(inner))  # FSDP has removed its own segment
        if module is None or inner is None:
            path.append(path_element(name))
        module = None if module is None else module._modules.get(name)
    return path


def _pairs_by_child(module: nn.Module, parent: Path) -> list[Pair]:
    """Return the module's own pairs, then each child's by the method for its class."""
    own: dict[str, Any] = {}
    module._save_to_state_dict(own, "", True)
    if is_extracted("computed"):
        own |= _computed(module)
    pairs = [([*parent, path_element(name)], leaf) for name, leaf in own.items()]
    named = [(path_element(n), m) for n, m in module._modules.items() if m is not None]
    return pairs + children(module, parent, named)
