"""Turn the value of a torch pickle into a tree: leaves in plain containers.

A pickled module becomes what its ``state_dict`` would hold: parameters, persistent buffers, then
its children, by name. Its class need not be installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any

from caten_sd.encodings.pickle.inert_values import Instance, Ordered
from caten_sd.encodings.pickle.object_tree import ObjectTree
from caten_sd.formats.torch.storage import Storage
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.lazy_tensor import LazyTensor

_LEAVES = (LazyTensor, BlockTensor)

# Maps a TorchScript class to the names of its parameters and buffers, or None if it is unknown.
Attributes = Callable[[str], "frozenset[str] | None"]


def resolve(value: Any, attributes: Attributes | None = None) -> tuple[Any, Counter[str]]:
    """Return the tree of a value, and how many objects of each class stay opaque in it.

    ValueError if its containers nest or repeat without bound.
    """
    found = _TorchTree(value, attributes or (lambda name: None))
    return found.tree(), found.opaque


class _TorchTree(ObjectTree):
    """The tree of a value that torch pickled."""

    leaves = ObjectTree.leaves | {Storage}

    def __init__(self, value: Any, attributes: Attributes) -> None:
        super().__init__(value)
        self._attributes = attributes

    def leaf(self, value: Any) -> Any:
        """Return a storage by itself as a tensor of one axis."""
        return value.leaf() if type(value) is Storage else value

    def own(self, value: Instance, depth: int) -> Any:
        """Return the tree of a module, or the leaf of an old tensor."""
        state = _attributes(value)
        if type(state) is dict and type(state.get("_parameters")) in (dict, Ordered):
            return self.named(self._module_entries(state), depth)
        if type(state) is dict and value.name.startswith("__torch__."):
            declared = self._attributes(value.name)
            return self.named(_script_entries(state, declared, self.holds), depth)
        if value.name.endswith(".ScriptObject") and type(value.state) is tuple:
            return self.resolve(value.state[0], depth) if value.state else None
        return _old_tensor(value)

    def _module_entries(self, state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield what a module's ``state_dict`` holds, and the packed weights of a quantized one."""
        yield from _module_entries(state)
        for name, child in state.items():
            if type(child) is Instance and child.name.endswith(".ScriptObject"):
                yield name, child


def _attributes(value: Instance) -> Any:
    """Return what would be an object's ``__dict__``: its state, or the argument of torch.fx."""
    is_graph = value.name == "torch.fx.graph_module.reduce_graph_module"
    state = value.args if is_graph else value.state
    return state[0] if type(state) is tuple and state else state


def _module_entries(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what ``nn.Module.state_dict`` holds: all but None and buffers that are not saved."""
    skipped = state.get("_non_persistent_buffers_set")
    unsaved: Container[Any] = skipped if isinstance(skipped, (set, list)) else ()
    for attribute in ("_parameters", "_buffers", "_modules"):
        entries = state.get(attribute)
        for name, child in entries.items() if isinstance(entries, dict) else ():
            if type(name) is not str:
                raise ValueError(
                    "a parameter, buffer or child of a module has a name that is not text"
                )
            if child is not None and not (attribute == "_buffers" and name in unsaved):
                yield name, child


def _script_entries(
    state: dict[str, Any], declared: frozenset[str] | None, holds: Callable[[Any], bool]
) -> Iterator[tuple[str, Any]]:
    """Yield a TorchScript object's parameters and buffers, then its children."""
    for name, child in state.items():
        if isinstance(child, _LEAVES) and (declared is None or name in declared):
            yield name, child
    for name, child in state.items():
        is_object = type(child) is Instance and child.name.startswith("__torch__.")
        if is_object and (type(child.state) is dict or holds(child)):
            yield name, child


def _old_tensor(value: Instance) -> Any:
    """Return the leaf of a tensor of torch 0.1; its state is (storage, offset, shape, strides)."""
    state = value.state
    is_old = value.name.startswith("torch.") and value.name.endswith("Tensor")
    if not is_old or type(state) is not tuple or not 4 <= len(state) <= 5:
        return None
    storage, offset, shape, strides = state[:4]
    return storage.view(offset, shape, strides) if type(storage) is Storage else None
