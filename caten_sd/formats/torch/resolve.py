"""The tree that a torch pickle's value stands for: leaves in plain containers, nothing of torch.

A whole pickled module, also one of a class that is not installed, gives what its ``state_dict``
would: parameters, then buffers that are saved, then its children, by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Instance, Ordered, Reference
from caten_sd.formats.torch.storage import Storage
from caten_sd.state.leaf import BlockTensor, LazyTensor

MAX_DEPTH = 100
MAX_NODES = 4_000_000  # of the tree unfolded: shared containers repeat, and can do so without bound

_LEAVES = (LazyTensor, BlockTensor)
_LEAF_TYPES = {*_LEAVES}


# Gives the names of the parameters and buffers of a TorchScript class, or None if it is unknown.
Attributes = Callable[[str], "frozenset[str] | None"]


def resolve(value: Any, attributes: Attributes | None = None) -> tuple[Any, Counter[str]]:
    """Return the value with leaves for storages, arrays and modules, and what else stays opaque.

    ValueError if it holds itself, nests or repeats without bound, or keeps code among tensors.
    """
    settler = _Resolver(attributes or (lambda name: None))
    return settler.resolve(value, 0), settler.opaque


class _Resolver:
    """One walk: what each container became, and how many nodes it unfolds to."""

    def __init__(self, attributes: Attributes) -> None:
        self.opaque: Counter[str] = Counter()
        self._attributes = attributes
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def resolve(self, value: Any, depth: int) -> Any:
        settler = _SETTLERS.get(type(value))
        self._nodes += 1
        if settler is None:
            return value
        known = self._done.get(id(value))
        if known is None:
            known = self._settle_new(settler, value, depth)
        else:
            self._nodes += known[1]
        if self._nodes > MAX_NODES:
            raise ValueError(f"it unfolds to more than {MAX_NODES:,} entries, by repeating some")
        return known[0]

    def _settle_new(self, settler: Callable[..., Any], value: Any, depth: int) -> tuple[Any, int]:
        if id(value) in self._open:
            raise ValueError(f"a {getattr(value, 'name', type(value).__name__)} in it holds itself")
        if depth > MAX_DEPTH:
            raise ValueError(f"its containers nest more than {MAX_DEPTH} deep")
        self._open.add(id(value))
        before = self._nodes
        made = settler(self, value, depth + 1)
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
        """Return the tree of a module, the leaf of an array, or the object as it is."""
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
            settled = self.resolve(child, depth)
            if settled != {}:
                made[name] = settled
        return made


def _refuse_code(state_dict: dict[Any, Any]) -> None:
    """ValueError for a function's name among the tensors of a state dict; a class's may be."""
    for child in state_dict.values():
        if type(child) is Reference and not child.name.rpartition(".")[2].lstrip("_")[:1].isupper():
            raise ValueError(f"it keeps {child.name}, which is code, among its tensors")


def _attributes(value: Instance) -> Any:
    """Return what would be an object's ``__dict__``: its state, or what torch.fx is called with."""
    held = value.args if value.name == "torch.fx.graph_module.reduce_graph_module" else value.state
    return held[0] if type(held) is tuple and held else held


def _module_entries(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what ``nn.Module.state_dict`` takes: all but buffers that are not saved, and None."""
    skipped = state.get("_non_persistent_buffers_set")
    unsaved: Container[Any] = skipped if isinstance(skipped, (set, list)) else ()
    for part in ("_parameters", "_buffers", "_modules"):
        entries = state.get(part)
        for name, child in entries.items() if isinstance(entries, dict) else ():
            if type(name) is not str:
                raise ValueError("a module's part has a name that is no text")
            if child is not None and not (part == "_buffers" and name in unsaved):
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
    """Return the leaf of a tensor as torch 0.1 pickled one: (storage, offset, shape, strides)."""
    state = value.state
    is_old = value.name.startswith("torch.") and value.name.endswith("Tensor")
    if not is_old or type(state) is not tuple or not 4 <= len(state) <= 5:
        return None
    storage, offset, shape, strides = state[:4]
    return storage.view(offset, shape, strides) if type(storage) is Storage else None


_SETTLERS: dict[type, Callable[..., Any]] = {
    dict: _Resolver.mapping,
    Ordered: _Resolver.mapping,
    list: _Resolver.sequence,
    tuple: _Resolver.sequence,
    Storage: _Resolver.storage,
    Instance: _Resolver.instance,
}
