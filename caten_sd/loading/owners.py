"""What an owner of slots does around a load, and how its calls are watched; for adapters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from caten_sd.dispatch.generic import generic
from caten_sd.loading.report import LoadPlan
from caten_sd.objects.declared_slots import declared_slots
from caten_sd.objects.watching import Watch, watching_calls

if TYPE_CHECKING:  # all of mapping comes with it
    from caten_sd.mapping.layer_kinds import StandardLayer
    from caten_sd.mapping.layout import Layout


class SynthesizedSlot(Protocol):
    """A slot that takes at once all leaves that its owner computes for its state dict.

    ``names`` are those of the leaves, and ``beside`` those of the leaves that the owner stores next
    to them; ``assign`` gives the slot a mapping.
    """

    owner: Any
    names: frozenset[str]
    beside: frozenset[str]

    @property
    def takes_back(self) -> bool:
        """Whether the owner has code that takes the leaves."""


class FileLayout(Protocol):
    """The layout of an owner's files, where its own library does not save the state as it is."""

    def to_read(self, leaves: Mapping[str, Any], slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout of a file with these leaves, whose canonical names are the slots'.

        None if the file has the names and the tensors of the slots.
        """

    def to_write(self, slots: Mapping[str, Any]) -> Layout | None:
        """Return the layout of a file that the owner's library would save, or None as above."""

    def unsaved(self, slots: Mapping[str, Any]) -> Collection[str]:
        """Return the slots that files of the owner do not have, so that a load leaves them."""


class ForgivenKeys(Protocol):
    """What an owner's library loads without, and what it leaves out of a file."""

    def may_lack(self, keys: Iterable[str]) -> Collection[str]:
        """Return the slots that a file need not have."""

    def leaves_out(self, keys: Iterable[str]) -> Collection[str]:
        """Return the keys of a file that the owner has no use for."""


class OwnerHooks:
    """What one owner does around a load; this class is for one that only holds its slots."""

    adapts = False  # whether `adapt` may change anything
    synthesizes = False  # whether the state may have leaves that the owner does not store
    nested: Collection[str] = ()  # slots with a tree in place of a leaf; `put` takes it as a whole
    constants: Iterable[Any] = ()  # what a copy of the owner has in common with it: no state
    files: FileLayout | None = None  # the layout of its files, if it is not that of its state
    ignored: ForgivenKeys | None = None  # what its library says nothing of

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def layers(self) -> Sequence[StandardLayer]:
        """Return what the owner is as a layer, such as a convolution, and how its parts lie.

        Nothing for what is not a layer itself, and several where one object holds several. The
        default is what its class says in a method ``__layers__``.
        """
        declared = getattr(type(self.owner), "__layers__", None)
        return declared(self.owner) if callable(declared) else ()

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        """Change ``leaves`` as the owner changes the state dict of an older version of itself.

        ``leaves`` has the names of the whole model; those of the owner begin with ``prefix``.
        ``source`` is the state dict as the caller gave it, which may record the versions of its
        modules. The owner itself is not changed.
        """

    def rebuild(self, *, root: Any, names: list[str]) -> dict[str, Any]:
        """Return values for those buffers ``names`` that the owner computes and no file has.

        The buffers have no values, as on torch's meta device. The owner is not changed; what it
        cannot compute is left out. The default calls the factories that a class declares.
        """
        fields = {each.element: each.field for each in declared_slots(type(self.owner))}
        factories = {n: _factory(fields[n], self.owner) for n in names if n in fields}
        return {name: factory() for name, factory in factories.items() if factory is not None}

    def synthesized(
        self, *, leaves: Mapping[str, Any], owners: Iterable[Any]
    ) -> SynthesizedSlot | None:
        """Return the slot of the leaves that the owner synthesizes, or None.

        ``leaves`` are all of the owner's, by name, and ``owners`` all owners in the model.
        """

    def saved(self, name: str) -> Any:
        """Return a copy of what a nested slot holds, to be put back if a load fails."""

    def copied(self, memo: dict[int, Any]) -> Any:
        """Return a copy made with the memo of a deepcopy; None if deepcopy itself makes it so.

        It is for an owner whose own ``__deepcopy__`` copies anew what the memo has.
        """

    def after_load(self, *, missing: list[str], unexpected: list[str]) -> None:
        """Act after a load, given the keys that only the model or only the file has."""

    def plan(
        self,
        state_dict: Mapping[str, Any],
        options: Mapping[str, Any],
        by_slot: Callable[..., LoadPlan],
    ) -> LoadPlan:
        """Return the plan of a load into the owner, as the object that was given to the load.

        ``options`` are the keywords of ``plan_load``; ``by_slot(obj, state_dict, **options)`` plans
        a model that is a part of the owner, or the owner itself.
        """
        return by_slot(self.owner, state_dict, **options)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Tell the watch of each call of the owner, which meanwhile does what it does untrained.

        The default is for one that is called by the generic function ``call``.
        """
        trained = getattr(self.owner, "training", None)
        if trained is True:
            self.owner.training = False
        try:
            with watching_calls(self.owner, watch):
                yield
        finally:
            if trained is True:
                self.owner.training = True


@generic
def hooks_of(owner: Any, /) -> OwnerHooks:
    """Return what an owner does around a load beyond holding its slots."""
    raise NotImplementedError


@hooks_of.register(object)
def _only_slots(owner: Any, /) -> OwnerHooks:
    return OwnerHooks(owner)


def _factory(field: Any, owner: Any) -> Callable[[], Any] | None:
    """Return what makes the default of a field of an attrs class or a dataclass, or None."""
    if isinstance(field, dataclasses.Field):
        return field.default_factory if callable(field.default_factory) else None
    factory = getattr(field.default, "factory", None)
    if factory is not None and field.default.takes_self:
        return functools.partial(factory, owner)
    return cast("Callable[[], Any] | None", factory)
