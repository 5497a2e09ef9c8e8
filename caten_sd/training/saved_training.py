"""What a state dict offers to a training, be it ours, another tool's nested one, or flat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from caten_sd.loading.renames import renamed
from caten_sd.state.keys import joined_key
from caten_sd.state.plain_values import SavedLeaf, read_tree
from caten_sd.state.state_dict import StateDict, spec_or_none
from caten_sd.state.training_keys import VALUES
from caten_sd.state.tree import flatten

OPTIMIZER = {"state", "param_groups"}  # the two entries of what torch's optimizers save


class SavedTraining:
    """The leaves of a state dict by key, and what it says beside them.

    A mapping of mappings, as ``torch.load`` returns it, is one too.
    """

    def __init__(
        self, state_dict: Mapping[str, Any], rename: Mapping[str, str] | None = None
    ) -> None:
        self.nested = None if isinstance(state_dict, StateDict) else state_dict
        if isinstance(state_dict, StateDict):
            self.leaves, self.others = state_dict.entry, state_dict.others
        else:
            tree = flatten(state_dict, "")
            self.leaves, self.others = tree.leaves, tree.others
        self.rename = rename
        self.metadata = getattr(state_dict, "metadata", None)

    def keys(self, at: str) -> list[str]:
        """Return the keys of the leaves below a part."""
        return [key for key in self.leaves if not at or key.startswith(f"{at}.")]

    def renamed(self, names: Collection[str], at: str) -> dict[str, str]:
        """Return what the caller's rules, which are of whole keys, make of a part's names."""
        start = f"{at}." if at else ""
        keys = dict.fromkeys([*self.keys(at), *(f"{start}{name}" for name in names)])
        found = renamed(keys, self.rename) if self.rename else {key: key for key in keys}
        return {name: found[f"{start}{name}"].removeprefix(start) for name in names}

    def below(self, at: str) -> StateDict:
        """Return the leaves below a part, under their whole keys."""
        return StateDict({key: self.leaves[key] for key in self.keys(at)})

    def tree(self, at: str) -> Any:
        """Return the state of a part as a tree with a SavedLeaf for each tensor; None without."""
        if joined_key(at, VALUES) in self.leaves:
            return read_tree(self.leaves, at)
        found: Any = self.nested
        if found is not None:
            if at:
                found = found.get(at)
            if isinstance(found, Mapping) and at:
                return _saved(found, at)
            if isinstance(found, Mapping) and set(found) >= OPTIMIZER:
                return _saved(found, at)
        return self._rebuilt(at)

    def _rebuilt(self, at: str) -> Any:
        """Return the tree that dotted keys came from, text for every key and dicts for lists."""
        tree: dict[str, Any] = {}
        start = f"{at}." if at else ""
        for held in (self.leaves, self.others):
            for key, value in held.items():
                if key.startswith(start):
                    told = SavedLeaf(key, value) if held is self.leaves else value
                    _put(tree, key[len(start) :].split("."), told)
        return tree or None


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[path[-1]] = value


def _saved(value: Any, at: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _saved(child, joined_key(at, key)) for key, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_saved(child, joined_key(at, n)) for n, child in enumerate(value))
    return value if spec_or_none(value) is None else SavedLeaf(at, value)
