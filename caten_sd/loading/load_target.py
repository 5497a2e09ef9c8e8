"""The model being loaded: its slots, the modules that own them, and buffers they compute."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.changed_slots import changed_slots
from caten_sd.loading.hidden_leaves import hidden_in, hides_leaves
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.owners import ForgivenKeys, OwnerHooks, hooks_of
from caten_sd.loading.report import LoadReport, Outcome
from caten_sd.loading.slot_holders import Holder, SynthesizedLeaf
from caten_sd.objects.containers import Container, computed, containers
from caten_sd.objects.extract import attributes_of, get_state_dict, to_state_dict
from caten_sd.objects.owner import unwrap
from caten_sd.objects.slots import OPTIONAL, PASSING, Kinds, with_included
from caten_sd.state.keys import KeyMapper
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.same_place import known_apart, same_place
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import first_few


class LoadTarget:
    """An object's slots by key, and what else a load must know about the object.

    A buffer that the object computes is a slot too if it has no values, as on torch's meta device:
    only the file can have values for it. Properties are computed when they are first needed.
    """

    def __init__(self, obj: Any, key_mapper: KeyMapper, include: Kinds = ()) -> None:
        self.obj, self._key, self._include = obj, key_mapper, include
        self._declared, self._kinds = self._extracted(obj), with_included(include)
        found = containers(obj, self._kinds)
        self._containers = [(each, hooks_of(each.owner)) for each in found]

    @property
    def owners(self) -> list[Any]:
        """Every container in the object, each before those in it."""
        return [each.owner for each, _ in self._containers]

    def constants(self) -> dict[int, Any]:
        """Return what the owners do not want to be copied, by its id."""
        return {id(each): each for _, hooks in self._containers for each in hooks.constants}

    def of(self, obj: Any) -> LoadTarget:
        """Return the target of another object, with the same keys for its paths."""
        return LoadTarget(obj, self._key, self._include)

    def refuse_changes(self, specs: Mapping[str, Spec | None]) -> None:
        """Raise LoadError if slots hold other arrays now than when the plan had these specs."""
        made = self.nested.keys() | self.synthesized.keys()  # those are new at each extraction
        if other := changed_slots(self._declared.entry, specs, self._leaves_now, made):
            raise LoadError(
                f"{first_few(other, 5)} of {type(self.obj).__name__} changed after the plan was "
                f"made; nothing was changed by it: make the plan again"
            )

    def _leaves_now(self) -> Mapping[str, Any]:
        return self._extracted(self.obj).entry

    def _extracted(self, obj: Any) -> StateDict:
        return get_state_dict(obj, key_mapper=self._key, include=self._include)

    @functools.cached_property
    def slots(self) -> StateDict:
        """The slots that a load has to fill."""
        empty = {
            self._key([*each.path, name]): ([*each.path, name], leaf)
            for each, _ in self._containers
            for name, leaf, kind in each.slots
            if kind == "computed" and _lacks_values(leaf)
        }
        if not empty or not any(map(_lacks_values, self._declared.entry.values())):
            return self._declared
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

    def holders(self, key: str) -> list[Holder]:
        """Return every slot that holds the leaf under this key, or under a name tied to it.

        Empty if no owner in the object holds it, as a leaf that a method makes up.
        """
        found: dict[tuple[int, Any], Holder] = {}
        for name in self.names_of(key):
            leaf = self.slots.entry[name]
            for holder in self._holders.get(id(leaf), ()) or self._held_in_place(name, leaf):
                found[id(holder.owner), holder.name] = holder
        return list(found.values())

    @functools.cached_property
    def _holders(self) -> dict[int, list[Holder]]:
        """The slots that hold each object, by its id."""
        known: dict[int, list[Holder]] = {}
        todo = [
            (each.owner, name, value)
            for each, _ in self._containers
            for name, value, kind in each.slots
            if (kind not in PASSING or kind in self._kinds) and value is not None
        ]
        todo += [(self.obj, name, v) for name, v in hidden_in(self.obj)]
        # For this load alone, as a method may be added before the next one.
        hidden: Callable[..., bool] = functools.cache(hides_leaves)
        for owner, name, value in todo:
            first = id(value) not in known
            known.setdefault(id(value), []).append(Holder(owner, name))
            if first and hidden(type(value)):
                todo += [(value, inner, v) for inner, v in attributes_of(value).items()]
        return known

    def _held_in_place(self, key: str, leaf: Any) -> list[Holder]:
        """Return the slot that the path names, if the leaf is another object for its memory."""
        *parent, last = self.slots.paths[key] or [None]
        each = self._by_path.get(tuple(parent))
        slots = each.slots if each is not None else ()
        held = (value for name, value, _ in slots if name == last)
        if each is not None and any(same_place(value, leaf) for value in held):
            return [Holder(each.owner, last)]
        return []

    @functools.cached_property
    def _by_path(self) -> dict[tuple[Any, ...], Container]:
        return {tuple(each.path): each for each, _ in self._containers}

    @functools.cached_property
    def kept_by_wrappers(self) -> dict[str, str]:
        """The class name of the wrapper that owns a slot, by the key of each such slot."""
        inner = {tuple(each.path): each.owner for each, _ in self._containers}
        return {
            self._key([*each.path, name]): type(each.owner).__name__
            for each, _ in self._containers
            if inner[tuple(each.path)] is not each.owner
            for name, _, _ in each.slots
        }

    @functools.cached_property
    def unsaved(self) -> frozenset[str]:
        """The slots that the object's own library leaves out of its files."""
        files = hooks_of(unwrap(self.obj)).files
        return frozenset() if files is None else frozenset(files.unsaved(self.slots.entry))

    @functools.cached_property
    def _ignored(self) -> ForgivenKeys | None:
        return hooks_of(unwrap(self.obj)).ignored

    @functools.cached_property
    def may_lack(self) -> frozenset[str]:
        """The slots that a file need not have, as the object's own class says."""
        ignored = self._ignored
        return frozenset() if ignored is None else frozenset(ignored.may_lack(self.slots.entry))

    def leaves_out(self, *keys: str) -> bool:
        """Return whether the object's own class leaves one of these keys of a file out."""
        return self._ignored is not None and bool(self._ignored.leaves_out(keys))

    @functools.cached_property
    def rebuilt(self) -> dict[str, Any]:
        """Values for buffers without values that their owners can compute again."""
        made: dict[str, Any] = {}
        for each, hooks in self._containers:
            names = {self._key([*each.path, name]): name for name in computed(each)}
            wanted = [name for key, name in names.items() if key in self.slots]
            if wanted:
                values = hooks.rebuild(root=self.obj, names=wanted)
                made |= {key: values[name] for key, name in names.items() if name in values}
        return made

    @functools.cached_property
    def nested(self) -> dict[str, tuple[OwnerHooks, str]]:
        """The slots with a tree in place of a leaf: the owner's hooks, and the slot's own name."""
        return {
            key: (hooks, name)
            for each, hooks in self._containers
            for name in hooks.nested
            if (key := self._key([*each.path, name])) in self.slots.entry
        }

    @functools.cached_property
    def synthesized(self) -> dict[str, SynthesizedLeaf]:
        """For each slot whose leaf its owner synthesizes, where that leaf goes.

        The owner is the innermost container on the way to the leaf; its hook may have given the
        leaf a path through something that is not a container.
        """
        if not any(hooks.synthesizes for _, hooks in self._containers):
            return {}
        named: dict[tuple[Any, ...], dict[str, str]] = {path: {} for path in self._by_path}
        for key, path in self.slots.paths.items():
            depth = next(n for n in range(len(path) - 1, -1, -1) if tuple(path[:n]) in named)
            named[tuple(path[:depth])][".".join(map(str, path[depth:]))] = key
        found: dict[str, SynthesizedLeaf] = {}
        for each, hooks in self._containers:
            keys = named[tuple(each.path)]
            leaves = {name: self.slots[key] for name, key in keys.items()}
            slot = hooks.synthesized(leaves=leaves, owners=self.owners) if leaves else None
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
        again = self._leaves_now()
        leaves = self._declared.entry.items()
        made = {key for key, leaf in leaves if key in again and known_apart(leaf, again[key])}
        return made - self.synthesized.keys()

    @functools.cached_property
    def _computed(self) -> set[str]:
        kinds = set(OPTIONAL) - self._kinds
        return {
            self._key([*each.path, name])
            for each, _ in self._containers
            for name in computed(each, kinds)
        }

    @functools.cached_property
    def nested_slots(self) -> list[str]:
        """The slots whose leaf may be a tree of tensors: nested ones and synthesized leaves."""
        return [key for key in self.slots if key in self.nested or key in self.synthesized]

    def knows(self, key: str) -> bool:
        """Return whether a key names a slot, a part of a nested one, or a computed buffer."""
        if key in self.slots.entry or key in self._computed:
            return True
        return any(key.startswith(f"{name}.") for name in self.nested_slots)

    def computes(self, key: str) -> bool:
        """Return whether the object computes the leaf under this key."""
        return key in self._computed

    def adapted(self, named: NamedLeaves, source: Any) -> NamedLeaves:
        """Return the leaves as each owner changes those of a file of an older version."""
        before, leaves = named.leaves, dict(named.leaves)
        adapting = [(each, hooks) for each, hooks in self._containers if hooks.adapts]
        if not adapting:
            return named
        for each, hooks in adapting:
            prefix = self._key([*each.path, "x"]).removesuffix("x")
            hooks.adapt(prefix=prefix, leaves=leaves, source=source)
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
        for each, hooks in self._containers:
            try:
                hooks.after_load(missing=missing, unexpected=unexpected)
            except Exception as error:
                raise LoadError(
                    f"{type(each.owner).__name__} failed after everything was loaded ({error})"
                ) from error


def _lacks_values(leaf: Any) -> bool:
    known = spec_or_none(leaf)
    return known is not None and not known.has_values
