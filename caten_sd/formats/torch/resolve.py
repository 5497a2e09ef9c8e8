"""Turn the value of a torch pickle into a tree: leaves in plain containers.

A pickled module becomes what its ``state_dict`` would hold: parameters, persistent buffers, then
its children, by name. Its class need not be installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference
from caten_sd.formats.torch.storage import Storage
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.lazy_tensor import LazyTensor

MAX_DEPTH = 100
MAX_NODES = 4_000_000  # of the tree in which every shared container is repeated

_LEAVES = (LazyTensor, BlockTensor)
_LEAF_TYPES = {*_LEAVES}

# Maps a TorchScript class to the names of its parameters and buffers, or None if it is unknown.
Attributes = Callable[[str], "frozenset[str] | None"]


def resolve(value: Any, attributes: Attributes | None = None) -> tuple[Any, Counter[str]]:
    """Return the tree of a value, and how many objects of each class stay opaque in it.

    ValueError if the value holds itself, if its containers nest or repeat without bound, or if it
    keeps code among tensors.
    """
    resolver = _Resolver(attributes or (lambda name: None))
    return resolver.resolve(value, 0), resolver.opaque


class _Resolver:
    """Resolves one value; it remembers what each container became and how many nodes it has."""

    def __init__(self, attributes: Attributes) -> None:
        self.opaque: Counter[str] = Counter()
        self._attributes = attributes
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def resolve(self, value: Any, depth: int) -> Any:
        method = _METHODS.get(type(value))
        self._nodes += 1
        if method is None:
            return value
        known = self._done.get(id(value))
        if known is None:
            known = self._resolve_new(method, value, depth)
        else:
            self._nodes += known[1]
        if self._nodes > MAX_NODES:
            raise ValueError(f"its repeated containers unfold to more than {MAX_NODES:,} entries")
        return known[0]

    def _resolve_new(self, method: Callable[..., Any], value: Any, depth: int) -> tuple[Any, int]:
        if id(value) in self._open:
            raise ValueError(f"a {getattr(value, 'name', type(value).__name__)} in it holds itself")
        if depth > MAX_DEPTH:
            raise ValueError(f"its containers nest more than {MAX_DEPTH} deep")
        self._open.add(id(value))
        before = self._nodes
        made = method(self, value, depth + 1)
        self._open.discard(id(value))
        known = self._done[id(value)] = made, self._nodes - before
        return known

    def mapping(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        made = {key: self.resolve(child, depth) for key, child in value.items()}
        kinds = set(map(type, made.values()))
        if Reference in kinds and kinds & _LEAF_TYPES and not kinds & {dict, list, tuple}:
            _refuse_code(made)
        return made

    def sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        return type(value)([self.resolve(child, depth) for child in value])

    def storage(self, value: Storage, depth: int) -> Any:
        return value.leaf()

    def instance(self, value: Instance, depth: int) -> Any:
        """Return the tree of a module, the leaf of an array, or any other object unchanged."""
        if value.entries is not None:
            return self.resolve(value.entries, depth)
        state = _attributes(value)
        if type(state) is dict and type(state.get("_parameters")) in (dict, Ordered):
            return self._named(_module_entries(state), depth)
        if type(state) is dict and value.name.startswith("__torch__."):
            return self._named(_script_entries(state, self._attributes(value.name)), depth)
        if (old := _old_tensor(value)) is not None:
            return old
        if (leaf := array_leaf(value)) is not None:
            return leaf
        self.opaque[value.name] += 1
        return value

    def _named(self, entries: Iterator[tuple[str, Any]], depth: int) -> dict[str, Any]:
        made = {}
        for name, child in entries:
            resolved = self.resolve(child, depth)
            if resolved != {}:
                made[name] = resolved
        return made


def _refuse_code(state_dict: dict[Any, Any]) -> None:
    """Raise ValueError for a function's name among the tensors; a class's name is allowed."""
    for child in state_dict.values():
        if type(child) is Reference and not child.name.rpartition(".")[2].lstrip("_")[:1].isupper():
            raise ValueError(f"it keeps {child.name}, which is code, among its tensors")


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
    state: dict[str, Any], declared: frozenset[str] | None
) -> Iterator[tuple[str, Any]]:
    """Yield a TorchScript object's parameters and buffers, then its children."""
    for name, child in state.items():
        if isinstance(child, _LEAVES) and (declared is None or name in declared):
            yield name, child
    for name, child in state.items():
        is_object = type(child) is Instance and child.name.startswith("__torch__.")
        if is_object and type(child.state) is dict:
            yield name, child


def _old_tensor(value: Instance) -> Any:
    """Return the leaf of a tensor of torch 0.1; its state is (storage, offset, shape, strides)."""
    state = value.state
    is_old = value.name.startswith("torch.") and value.name.endswith("Tensor")
    if not is_old or type(state) is not tuple or not 4 <= len(state) <= 5:
        return None
    storage, offset, shape, strides = state[:4]
    return storage.view(offset, shape, strides) if type(storage) is Storage else None


_METHODS: dict[type, Callable[..., Any]] = {
    dict: _Resolver.mapping,
    Ordered: _Resolver.mapping,
    list: _Resolver.sequence,
    tuple: _Resolver.sequence,
    Storage: _Resolver.storage,
    Instance: _Resolver.instance,
}
