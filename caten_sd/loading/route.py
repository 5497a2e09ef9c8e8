"""How a leaf gets into its slot: copied into what is there, or as a new object, or why neither."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.methods import Methods
from caten_sd.objects.owner import cannot_put, fills_alike
from caten_sd.objects.place import assign, can_be_replaced, refusal
from caten_sd.objects.shards import local_shard
from caten_sd.state.leaf import spec
from caten_sd.wording import a_or_an


class Route(NamedTuple):
    """A new object if ``replaces``, else a copy; neither if there is a ``refusal``.

    ``rehearse`` if nobody knows whether the place takes the copy.
    """

    replaces: bool
    refusal: str = ""
    note: str = ""
    rehearse: bool = False


COPY, TRIED_COPY = Route(False), Route(False, rehearse=True)


class Router:
    """Finds the route into one slot after another.

    ``replace``: every slot gets a new object, but for the keys ``kept``. ``anew``: the new objects
    go into a copy of the model, so it does not matter whether the owners can be changed.
    """

    def __init__(
        self, target: LoadTarget, kept: Collection[str], *, replace: bool, anew: bool
    ) -> None:
        self.target, self.kept, self.replace, self.anew = target, kept, replace, anew
        self._refusals = Methods(refusal)
        self._takes: Callable[..., bool] = functools.cache(_takes)
        self._can_be_replaced: Callable[..., bool] = functools.cache(can_be_replaced)
        self._cannot_put: dict[tuple[type, Any], str] = {}

    def copies(self, place: Any, value: Any) -> bool:
        """Return whether a value is copied into its place, and nothing can be in its way."""
        kinds = type(place), type(value)
        if self.replace or not self._takes(*kinds):
            return False
        return bool(self._refusals[kinds](place, value) == "")

    def route(self, key: str, place: Any, value: Any, recast: bool = False) -> Route:
        """Return the route for a value; ``recast`` if only a new object has the dtype asked for."""
        refused = self._refusals[type(place), type(value)](place, value)
        wants_new = recast or (self.replace and key not in self.kept)
        if not (refused or wants_new):
            if not self._takes(type(place), type(value)):
                what = f"{a_or_an(type(place).__name__)} that takes no {type(value).__name__}"
                return Route(False, what)
            return TRIED_COPY if refused is None else COPY
        broken = self._refusals[type(place), type(place)](place, place)
        if refused and not broken:
            return Route(False, refused)
        if never := local_shard(place).refusal:
            return Route(False, never)
        if not self._can_be_replaced(type(place), type(value)):
            return self._copied(
                broken, f"nothing teaches how to replace {a_or_an(type(place).__name__)}"
            )
        if self.anew:
            return Route(True)
        holders = self.target.holders(key)
        if not holders:
            return self._copied(broken, "no slot of an owner holds it")
        for owner, name in holders:
            if why := self._unchangeable(owner, name, place):
                return Route(
                    False,
                    f"{a_or_an(type(owner).__name__)} takes no new object ({why}): "
                    f"with_state(model, state_dict) returns a model that has it",
                )
        return Route(True, "", self._why_new(place, broken))

    def _why_new(self, place: Any, broken: str) -> str:
        """Return why the slot of a place that has values gets a new object unasked, or ""."""
        if not broken or self.replace or not spec(place).has_values:
            return ""
        return f"a new object; of the old one, {broken.partition(':')[0]}"

    def _copied(self, broken: str | None, why: str) -> Route:
        note = f"copied, as {why}"
        return Route(False, broken) if broken else Route(False, "", note, rehearse=broken is None)

    def _unchangeable(self, owner: Any, name: Any, value: Any) -> str:
        """Return why an owner takes no new object; known once for each slot of a class."""
        slot = type(owner), None if fills_alike(owner, name) else name
        if slot not in self._cannot_put:
            self._cannot_put[slot] = cannot_put(owner, name, value)
        return self._cannot_put[slot]


def _takes(place: type, value: type) -> bool:
    return bool(assign.methods(place, value))
