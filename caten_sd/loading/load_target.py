"""What lies in an object beside its slots: the owners of slots, and what they compute."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LoadError
from caten_sd.loading.named_leaves import NamedLeaves, adapt
from caten_sd.loading.report import LoadReport, Outcome
from caten_sd.objects.containers import Container, computed, containers
from caten_sd.objects.place import EXTRA_STATE
from caten_sd.state.keys import KeyMapper, Path
from caten_sd.state.state_dict import StateDict


@generic
def rebuild(owner: Any, /, *, root: Any, names: list[str]) -> dict[str, Any]:
    """Return the values of those buffers ``names`` that the owner makes and no file has.

    It is asked of an owner on torch's meta device, whose buffers have no values; it changes nothing
    and leaves out what it cannot make.
    """
    raise NotImplementedError


@generic
def may_synthesize(owner: Any, /) -> bool:
    """Tell whether an owner may give leaves that do not lie in it; cheap, and asked of all."""
    raise NotImplementedError


@generic
def synthesized_slot(owner: Any, /, *, leaves: Mapping[str, Any], owners: Iterable[Any]) -> Any:
    """Return a place for those leaves by name that an owner has made up, or None.

    Its ``names`` are those that it takes, as one mapping, all at once. ``owners`` are all owners.
    """
    raise NotImplementedError


@generic
def after_load(owner: Any, /, *, missing: list[str], unexpected: list[str]) -> None:
    """Tell an owner that a load is done, and which keys were in one of the two only."""
    raise NotImplementedError


@may_synthesize.register(object)
def _gives_what_it_has(owner: Any, /) -> bool:
    return False


@synthesized_slot.register(object)
def _no_unit(owner: Any, /, *, leaves: Mapping[str, Any], owners: Iterable[Any]) -> None:
    return None


@rebuild.register(object)
def _from_defaults(owner: Any, /, *, root: Any, names: list[str]) -> dict[str, Any]:
    """Make what an attrs class declares a default for."""
    fields = {field.name: field for field in getattr(type(owner), "__attrs_attrs__", ())}
    factories = {n: getattr(fields[n].default, "factory", None) for n in names if n in fields}
    return {
        name: factory(owner) if fields[name].default.takes_self else factory()
        for name, factory in factories.items()
        if factory is not None
    }


@after_load.register(object)
def _nothing_to_do(owner: Any, /, *, missing: list[str], unexpected: list[str]) -> None:
    return None


_UNCHANGED: Callable[..., Any] = adapt.dispatch(object)


class LoadTarget:
    """An object's slots by key and, each asked for when needed, what lies beside them.

    Where a buffer that the object makes itself lies on torch's meta device, it is a slot as well:
    nobody else would give it values.
    """

    def __init__(self, obj: Any, slots: StateDict, key_mapper: KeyMapper) -> None:
        self.obj, self._declared, self._key = obj, slots, key_mapper
        self._parts: list[Container] = list(containers(obj))

    @functools.cached_property
    def slots(self) -> StateDict:
        """The slots that a load has to satisfy."""
        if not any(getattr(leaf, "is_meta", False) for leaf in self._declared.values()):
            return self._declared
        unmade = {
            self._key([*part.path, name]): ([*part.path, name], leaf)
            for part in self._parts
            for name, leaf in computed(part, ["computed"]).items()
            if getattr(leaf, "is_meta", False)
        }
        leaves = {key: leaf for key, (_, leaf) in unmade.items()}
        paths = {key: path for key, (path, _) in unmade.items()}
        return StateDict(
            {**self._declared.entry, **leaves}, paths={**self._declared.paths, **paths}
        )

    @functools.cached_property
    def rebuilt(self) -> dict[str, Any]:
        """The values of buffers on the meta device that their owners can make again."""
        made: dict[str, Any] = {}
        for part in self._parts:
            names = {self._key([*part.path, name]): name for name in computed(part)}
            wanted = [name for key, name in names.items() if key in self.slots]
            if wanted:
                values = rebuild(part.owner, root=self.obj, names=wanted)
                made |= {key: values[name] for key, name in names.items() if name in values}
        return made

    @functools.cached_property
    def units(self) -> dict[str, Any]:
        """The place of each slot whose leaf its owner makes up, one for all of an owner's."""
        if not any(may_synthesize(part.owner) for part in self._parts):
            return {}
        below: dict[tuple[Any, ...], dict[str, tuple[str, Any]]] = {}
        for key, path in self.slots.paths.items():
            below.setdefault(tuple(path[:-1]), {})[key] = (path[-1], self.slots[key])
        found: dict[str, Any] = {}
        for part in self._parts:
            named = below.get(tuple(part.path), {})
            owners = (each.owner for each in self._parts)
            place = (
                synthesized_slot(part.owner, leaves=dict(named.values()), owners=owners)
                if named
                else None
            )
            if place is not None:
                found |= {key: place for key, (name, _) in named.items() if name in place.names}
        return found

    @functools.cached_property
    def _computed(self) -> dict[str, tuple[Path, Any]]:
        return {
            self._key([*part.path, name]): ([*part.path, name], leaf)
            for part in self._parts
            for name, leaf in computed(part).items()
        }

    @functools.cached_property
    def no_tensors(self) -> list[str]:
        """The slots whose leaf may be no tensor: extra state, and what a module makes up."""
        return [key for key in self.slots if key.endswith(EXTRA_STATE) or key in self.units]

    def names(self, key: str) -> bool:
        """Tell whether a key names a slot or a part of one, or what the object computes."""
        if key in self.slots.entry or key in self._computed:
            return True
        return any(key.startswith(f"{name}.") for name in self.no_tensors)

    def computes(self, key: str) -> bool:
        """Tell whether the object itself makes what lies under this key."""
        return key in self._computed

    def adapt(self, given: NamedLeaves, versions: Any) -> None:
        """Let each owner change the file's leaves as it does for a file of an older version."""
        before = dict(given.leaves)
        for part in self._parts:
            if adapt.dispatch(type(part.owner)) is not _UNCHANGED:
                prefix = self._key([*part.path, "x"]).removesuffix("x")
                adapt(part.owner, prefix=prefix, leaves=given.leaves, versions=versions)
        if given.leaves.keys() == before.keys():
            return
        # What a module has taken for a slot of its own is still to be loaded by the plan.
        given.leaves |= {
            n: v for n, v in before.items() if n in self.slots and n not in given.leaves
        }
        gone = {id(leaf): name for name, leaf in before.items() if name not in given.leaves}
        for name, leaf in given.leaves.items():
            if name not in before:
                given.keys[name] = given.key(gone[id(leaf)]) if id(leaf) in gone else None

    def tell(self, report: LoadReport) -> None:
        """Tell every owner that the load is done; LoadError for what one of them makes of it."""
        missing = [row.key for row in report.of(Outcome.MISSING)]
        unexpected = [row.key for row in report.of(Outcome.UNEXPECTED)]
        for part in self._parts:
            try:
                after_load(part.owner, missing=missing, unexpected=unexpected)
            except Exception as error:
                raise LoadError(
                    f"{type(part.owner).__name__} has failed after everything was loaded ({error})"
                ) from error
