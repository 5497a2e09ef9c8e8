"""What a module may do around a load beyond holding slots; adapters add the methods."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from caten_sd.dispatch.generic import generic
from caten_sd.objects.declared_slots import declared_slots


@generic
def adapt(owner: Any, /, *, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    """Change ``leaves`` as their owner changes the state dict of an older version of itself.

    ``leaves`` has the names of the whole model; those of the owner begin with ``prefix``.
    ``versions`` is what the file records about its modules. The owner itself is not changed.
    """
    raise NotImplementedError


@generic
def rebuild(owner: Any, /, *, root: Any, names: list[str]) -> dict[str, Any]:
    """Return values for those buffers ``names`` that the owner computes and no file has.

    The owner is on torch's meta device, where its buffers have no values. It is not changed; what
    it cannot compute is left out.
    """
    raise NotImplementedError


@generic
def may_synthesize(owner: Any, /) -> bool:
    """Return whether a module's state_dict() may hold tensors that the module does not store.

    Quantized layers do so when they unpack their weights. Called for every module: keep it cheap.
    """
    raise NotImplementedError


@generic
def synthesized_slot(
    owner: Any, /, *, leaves: Mapping[str, Any], owners: Iterable[Any]
) -> Any | None:
    """Return a slot that takes all of a module's synthesized leaves at once, or None.

    ``leaves`` are all of the module's, by name, and ``owners`` all modules of the model. The slot
    has the ``owner``, the ``names`` of the leaves that it takes, and those of the leaves that the
    owner stores ``beside`` them; ``assign`` gives it a mapping.
    ``takes_back`` is whether the owner can do so at all: torch only ever ignores the leaves of one
    that has no code for it.
    """
    raise NotImplementedError


@generic
def after_load(owner: Any, /, *, missing: list[str], unexpected: list[str]) -> None:
    """Let an owner act after a load, with the keys that only the model or only the file has."""
    raise NotImplementedError


@adapt.register(object)
def _unchanged(owner: Any, /, *, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    return None


@may_synthesize.register(object)
def _stores_its_leaves(owner: Any, /) -> bool:
    return False


@synthesized_slot.register(object)
def _nothing_synthesized(
    owner: Any, /, *, leaves: Mapping[str, Any], owners: Iterable[Any]
) -> None:
    return None


@rebuild.register(object)
def _from_defaults(owner: Any, /, *, root: Any, names: list[str]) -> dict[str, Any]:
    """Call the factories that an attrs class or a dataclass declares as defaults."""
    fields = {each.element: each.field for each in declared_slots(type(owner))}
    factories = {name: _factory(fields[name], owner) for name in names if name in fields}
    return {name: factory() for name, factory in factories.items() if factory is not None}


def _factory(field: Any, owner: Any) -> Callable[[], Any] | None:
    if isinstance(field, dataclasses.Field):
        return field.default_factory if callable(field.default_factory) else None
    factory = getattr(field.default, "factory", None)
    if factory is not None and field.default.takes_self:
        return functools.partial(factory, owner)
    return cast("Callable[[], Any] | None", factory)


@after_load.register(object)
def _nothing_to_do(owner: Any, /, *, missing: list[str], unexpected: list[str]) -> None:
    return None
