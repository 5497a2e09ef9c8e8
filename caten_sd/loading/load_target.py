"""The model being loaded: its slots, the modules that own them, and buffers they compute."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.owners import (
    adapt,
    after_load,
    may_synthesize,
    rebuild,
    synthesized_slot,
)
from caten_sd.loading.report import LoadReport, Outcome
from caten_sd.objects.containers import computed, containers
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.objects.place import EXTRA_STATE, is_on_meta
from caten_sd.state.keys import KeyMapper
from caten_sd.state.same_place import known_apart
from caten_sd.state.state_dict import StateDict


class SynthesizedLeaf(NamedTuple):
    """The slot that takes all the leaves that an owner synthesizes, and the name of one of them.

    ``beside`` are the keys of the leaves that the owner stores and saves beside them.
    """

    slot: Any
    name: str
    beside: frozenset[str]


_UNCHANGED: Callable[..., Any] = adapt.dispatch(object)


class LoadTarget:
    """An object's slots by key, and what else a load must know about the object.

    A buffer that the object computes is a slot too if it is on torch's meta device: only the file
    can have values for it. Properties are computed when they are first needed.
    """

    def __init__(self, obj: Any, slots: StateDict, key_mapper: KeyMapper) -> None:
        self.obj, self._declared, self._key = obj, slots, key_mapper
        self._containers = list(containers(obj))

    @functools.cached_property
    def on_meta(self) -> bool:
        """Whether any of the declared slots is on torch's meta device."""
        return any(map(is_on_meta, self._declared.values()))

    @functools.cached_property
    def slots(self) -> StateDict:
        """The slots that a load has to fill."""
        if not self.on_meta:
            return self._declared
        empty = {
            self._key([*each.path, name]): ([*each.path, name], leaf)
            for each in self._containers
            for name, leaf in computed(each, ["computed"]).items()
            if is_on_meta(leaf)
        }
        leaves = {key: leaf for key, (_, leaf) in empty.items()}
        paths = {key: path for key, (path, _) in empty.items()}
        return StateDict(
            {**self._declared.entry, **leaves}, paths={**self._declared.paths, **paths}
        )

    @functools.cached_property
    def aliases(self) -> dict[str, list[str]]:
        """The further names of each tied slot, by its first name."""
        names: dict[str, list[str]] = {}
        for alias, first in self.slots.ties.items():
            names.setdefault(first, []).append(alias)
        return names

    def names_of(self, key: str) -> list[str]:
        """Return all names of the slot whose first name this is."""
        return [key, *self.aliases.get(key, ())]

    @functools.cached_property
    def rebuilt(self) -> dict[str, Any]:
        """Values for buffers on the meta device that their owners can compute again."""
        made: dict[str, Any] = {}
        for each in self._containers:
            names = {self._key([*each.path, name]): name for name in computed(each)}
            wanted = [name for key, name in names.items() if key in self.slots]
            if wanted:
                values = rebuild(each.owner, root=self.obj, names=wanted)
                made |= {key: values[name] for key, name in names.items() if name in values}
        return made

    @functools.cached_property
    def synthesized(self) -> dict[str, SynthesizedLeaf]:
        """For each slot whose leaf its owner synthesizes, where that leaf goes.

        The owner is the innermost container on the way to the leaf; its hook may have given the
        leaf a path through something that is not a container.
        """
        owners = [each.owner for each in self._containers]
        if not any(map(may_synthesize, owners)):
            return {}
        named: dict[tuple[Any, ...], dict[str, str]] = {tuple(c.path): {} for c in self._containers}
        for key, path in self.slots.paths.items():
            depth = next(n for n in range(len(path) - 1, -1, -1) if tuple(path[:n]) in named)
            named[tuple(path[:depth])][".".join(map(str, path[depth:]))] = key
        found: dict[str, SynthesizedLeaf] = {}
        for each in self._containers:
            keys = named[tuple(each.path)]
            leaves = {name: self.slots[key] for name, key in keys.items()}
            slot = synthesized_slot(each.owner, leaves=leaves, owners=owners) if leaves else None
            if slot is not None:
                beside = frozenset(keys[name] for name in slot.beside)
                found |= {keys[n]: SynthesizedLeaf(slot, n, beside) for n in slot.names}
        return found

    @functools.cached_property
    def temporaries(self) -> set[str]:
        """The slots whose leaf is made anew by each extraction, so that writes are lost."""
        methods = to_state_dict.methods()
        if all(str(each.function.__module__).startswith("caten_sd.") for each in methods):
            return set()
        again = get_state_dict(self.obj, key_mapper=self._key).entry
        leaves = self._declared.entry.items()
        made = {key for key, leaf in leaves if key in again and known_apart(leaf, again[key])}
        return made - self.synthesized.keys()

    @functools.cached_property
    def _computed(self) -> set[str]:
        return {
            self._key([*each.path, name]) for each in self._containers for name in computed(each)
        }

    @functools.cached_property
    def nested_slots(self) -> list[str]:
        """The slots whose leaf may be a tree of tensors: extra state and synthesized leaves."""
        return [k for k in self.slots if k.endswith(EXTRA_STATE) or k in self.synthesized]

    def knows(self, key: str) -> bool:
        """Return whether a key names a slot, a part of a nested one, or a computed buffer."""
        if key in self.slots.entry or key in self._computed:
            return True
        return any(key.startswith(f"{name}.") for name in self.nested_slots)

    def computes(self, key: str) -> bool:
        """Return whether the object computes the leaf under this key."""
        return key in self._computed

    def adapted(self, named: NamedLeaves, versions: Any) -> NamedLeaves:
        """Return the leaves as each owner changes those of a file of an older version."""
        before, leaves = named.leaves, dict(named.leaves)
        for each in self._containers:
            if adapt.dispatch(type(each.owner)) is not _UNCHANGED:
                prefix = self._key([*each.path, "x"]).removesuffix("x")
                adapt(each.owner, prefix=prefix, leaves=leaves, versions=versions)
        if leaves.keys() == before.keys():
            return attrs.evolve(named, leaves=leaves)
        # What a module has taken for a slot of its own is still to be loaded by the plan.
        leaves |= {k: leaf for k, leaf in before.items() if k in self.slots and k not in leaves}
        old_names = {id(leaf): name for name, leaf in before.items() if name not in leaves}
        keys = {
            name: named.key(old_names[id(leaf)]) if id(leaf) in old_names else None
            for name, leaf in leaves.items()
            if name not in before
        }
        return attrs.evolve(named, leaves=leaves, keys={**named.keys, **keys})

    def after_load(self, report: LoadReport) -> None:
        """Let every owner act after the load; LoadError if one of them fails."""
        missing = [row.key for row in report.of(Outcome.MISSING)]
        unexpected = [row.key for row in report.of(Outcome.UNEXPECTED)]
        for each in self._containers:
            try:
                after_load(each.owner, missing=missing, unexpected=unexpected)
            except Exception as error:
                raise LoadError(
                    f"{type(each.owner).__name__} failed after everything was loaded ({error})"
                ) from error
