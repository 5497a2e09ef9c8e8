"""A state dict that a training loads from: our own, another tool's nested one, or a flat one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from caten_sd.loading.named_leaves import renamed_as_asked
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.plain_values import read_tree
from caten_sd.state.saved_leaf import SavedLeaf
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import VALUES
from caten_sd.state.tree import flatten

_OPTIMIZER_ENTRIES = {"state", "param_groups"}  # of what torch's optimizers save


class SavedTraining:
    """The leaves of a state dict by key, and its other values.

    The state dict may be a mapping of mappings, as ``torch.load`` returns.
    """

    def __init__(
        self, state_dict: Mapping[str, Any], rename: Mapping[str, str] | None = None
    ) -> None:
        self.nested = None if isinstance(state_dict, StateDict) else state_dict
        self.leaves: Mapping[str, Any]
        if isinstance(state_dict, StateDict):
            self.leaves, self.others = state_dict.entry, state_dict.others
        else:
            tree = flatten(state_dict, "")
            self.leaves, self.others = tree.leaves, tree.others
        self.rename = rename
        self.metadata = getattr(state_dict, "metadata", None)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the leaves below a prefix."""
        return [key for key in self.leaves if not prefix or key.startswith(f"{prefix}.")]

    def renamed(self, names: Collection[str], prefix: str) -> dict[str, str]:
        """Return what the caller's rules make of names below a prefix; the rules are for keys."""
        start = f"{prefix}." if prefix else ""
        keys = dict.fromkeys([*self.keys(prefix), *(f"{start}{name}" for name in names)])
        found = renamed_as_asked(keys, self.rename) if self.rename else {key: key for key in keys}
        return {name: found[f"{start}{name}"].removeprefix(start) for name in names}

    def tree(self, prefix: str) -> Any:
        """Return the tree below a prefix with a SavedLeaf for each tensor; None if it is empty."""
        if joined_key(prefix, VALUES) in self.leaves:
            return read_tree(self.leaves, prefix)
        found: Any = self.nested
        if found is not None:
            if prefix:
                found = found.get(prefix)
            if isinstance(found, Mapping) and (prefix or set(found) >= _OPTIMIZER_ENTRIES):
                return _with_saved_leaves(found, prefix)
        return self._rebuilt(prefix)

    def _rebuilt(self, prefix: str) -> Any:
        """Return the tree that dotted keys came from, with text for every key, dicts for lists."""
        tree: dict[str, Any] = {}
        start = f"{prefix}." if prefix else ""
        for values in (self.leaves, self.others):
            for key, value in values.items():
                if key.startswith(start):
                    child = SavedLeaf(key, value) if values is self.leaves else value
                    _put(tree, key[len(start) :].split("."), child)
        return tree or None


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[path[-1]] = value


def _with_saved_leaves(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {k: _with_saved_leaves(child, joined_key(key, k)) for k, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(
            _with_saved_leaves(child, joined_key(key, n)) for n, child in enumerate(value)
        )
    return value if spec_or_none(value) is None else SavedLeaf(key, value)
