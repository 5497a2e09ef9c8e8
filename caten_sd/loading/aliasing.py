"""Source leaves whose memory this load will overwrite; they are copied first.

That happens if two parameters are swapped, or if a model is loaded from a layout of its own leaves.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from caten_sd.loading.methods import Methods
from caten_sd.state.leaf import memory
from caten_sd.state.same_place import same_place


class Overlaps:
    """Whether memory that a load reads is memory that it writes, told by one look at each leaf."""

    def __init__(self) -> None:
        self._memories = Methods(memory)
        self._written: set[Hashable] = set()
        self._read: set[Hashable] = set()
        self._shared: set[Hashable] = set()

    def add(self, place: Any, leaf: Any) -> None:
        """Take note that the leaf is to be copied into the place."""
        if (found := self._memories[type(place)](place)) is not None:
            self._shared.update(self._written.intersection(found.blocks))
            self._written.update(found.blocks)
        if (found := self._memories[type(leaf)](leaf)) is not None:
            self._read.update(found.blocks)

    def between_places(self) -> bool:
        """Return whether two places may overlap."""
        return bool(self._shared)

    def shared(self, place: Any) -> bool:
        """Return whether another place that is written may overlap this one."""
        found = self._memories[type(place)](place)
        return found is not None and not self._shared.isdisjoint(found.blocks)

    def any(self) -> bool:
        """Return whether some leaf may change before it is read."""
        return not self._written.isdisjoint(self._read)

    def overwritten(self, place: Any, leaf: Any) -> bool:
        """Return whether the write of another leaf than this one into its place may change it."""
        found = self._memories[type(leaf)](leaf)
        if found is None or self._written.isdisjoint(found.blocks):
            return False
        return not same_place(place, leaf)
