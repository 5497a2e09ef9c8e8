"""Source leaves whose memory this load will overwrite; they are copied first.

That happens if two parameters are swapped, or if a model is loaded from a layout of its own leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.derived import Derived
from caten_sd.state.same_place import same_place


def kept_apart(pairs: Iterable[tuple[Any, Any]], copy: Callable[[Any, Any], Any]) -> list[Any]:
    """Return the leaf of each (place, leaf), or a ``copy`` if another write would change it.

    >>> import numpy
    >>> a, b = numpy.zeros(2), numpy.ones(2)
    >>> swapped = kept_apart([(a, b), (b, a)], lambda place, leaf: leaf.copy())
    >>> swapped[0] is b, swapped[1] is a
    (False, False)
    """
    pairs = list(pairs)
    written = {memory for place, _ in pairs for memory in _memories(place)}
    return [
        copy(place, leaf)
        if not written.isdisjoint(_memories(leaf)) and not same_place(place, leaf)
        else leaf
        for place, leaf in pairs
    ]


def _memories(leaf: Any) -> list[int]:
    """Return the addresses of the memory that a leaf is in; a leaf of a file has none."""
    if isinstance(leaf, Derived):
        return [memory for source in leaf.leaves for memory in _memories(source)]
    if isinstance(leaf, BlockTensor):
        return _memories(leaf.raw)
    if callable(storage := getattr(leaf, "untyped_storage", None)):
        try:
            begin: int = storage().data_ptr()
        except (NotImplementedError, RuntimeError, ValueError):  # it has no storage of its own
            return []
        return [begin] if begin else []
    while (base := getattr(leaf, "base", None)) is not None and hasattr(
        base, "__array_interface__"
    ):
        leaf = base
    known = getattr(leaf, "__array_interface__", None)
    return [known["data"][0]] if isinstance(known, dict) else []
