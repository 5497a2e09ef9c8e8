"""Source leaves whose memory this load will overwrite; they are copied first.

That happens if two parameters are swapped, or if a model is loaded from a layout of its own leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from caten_sd.loading.methods import Methods
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.leaf import memory
from caten_sd.state.same_place import same_place


def kept_apart(pairs: Iterable[tuple[Any, Any]], copy: Callable[[Any, Any], Any]) -> list[Any]:
    """Return the leaf of each (place, leaf), or a ``copy`` if another write would change it.

    >>> import numpy
    >>> a, b = numpy.zeros(2), numpy.ones(2)
    >>> swapped = kept_apart([(a, b), (b, a)], lambda place, leaf: leaf.copy())
    >>> swapped[0] is b, swapped[1] is a
    (False, False)
    """
    pairs, memories = list(pairs), Methods(memory)
    written = {block for place, _ in pairs for block in _blocks(place, memories)}
    return [
        copy(place, leaf)
        if not written.isdisjoint(_blocks(leaf, memories)) and not same_place(place, leaf)
        else leaf
        for place, leaf in pairs
    ]


def _blocks(leaf: Any, memories: Methods) -> tuple[Hashable, ...]:
    """Return the blocks of memory that a leaf is in; a leaf of a file is in none."""
    if isinstance(leaf, Derived):
        return tuple(block for source in leaf.leaves for block in _blocks(source, memories))
    if isinstance(leaf, BlockTensor):
        return _blocks(leaf.raw, memories)
    found = memories[type(leaf)](leaf)
    return () if found is None or found.block is None else (found.block,)
