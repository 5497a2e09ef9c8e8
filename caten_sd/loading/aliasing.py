"""Source leaves whose memory this load will overwrite; they are copied first.

That happens if two parameters are swapped, or if a model is loaded from a layout of its own leaves.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from caten_sd.loading.methods import Methods
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.leaf import memory
from caten_sd.state.same_place import same_place


class Overlaps:
    """Whether memory that a load reads is memory that it writes, told by one look at each leaf."""

    def __init__(self) -> None:
        self._memories = Methods(memory)
        self._written: set[Hashable] = set()
        self._read: set[Hashable] = set()

    def add(self, place: Any, leaf: Any) -> None:
        """Take note that the leaf is to be copied into the place."""
        self._written.update(self._blocks(place))
        self._read.update(self._blocks(leaf))

    def any(self) -> bool:
        """Return whether some leaf may change before it is read."""
        return not self._written.isdisjoint(self._read)

    def overwritten(self, place: Any, leaf: Any) -> bool:
        """Return whether the write of another leaf than this one into its place may change it."""
        return not (self._written.isdisjoint(self._blocks(leaf)) or same_place(place, leaf))

    def _blocks(self, leaf: Any) -> tuple[Hashable, ...]:
        """Return the blocks of memory that a leaf is in; a leaf of a file is in none."""
        if isinstance(leaf, Derived):
            return tuple(block for source in leaf.leaves for block in self._blocks(source))
        if isinstance(leaf, BlockTensor):
            return self._blocks(leaf.raw)
        found = self._memories[type(leaf)](leaf)
        return () if found is None or found.block is None else (found.block,)
