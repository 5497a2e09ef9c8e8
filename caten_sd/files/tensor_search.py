"""Search a nested checkpoint for tensors and dotted keys, in time bounded by its size."""

from __future__ import annotations

from typing import Any, NamedTuple

from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.tree import MAX_DEPTH, is_container, items


class Below(NamedTuple):
    """Whether a tensor, and whether a dotted key of one, is anywhere below a node."""

    tensor: bool = False
    dotted: bool = False


class TensorSearch:
    """Searches each container once, even if many others hold it.

    Lists that hold each other twice would otherwise take exponential time: 200 bytes are enough.
    """

    def __init__(self) -> None:
        self._known: dict[int, Below] = {}

    def below(self, node: Any, depth: int = 0) -> Below:
        """Return what is below a node; a leaf counts as its own tensor.

        >>> import numpy
        >>> TensorSearch().below({"model": {"fc.w": numpy.ones(1)}, "step": 3})
        Below(tensor=True, dotted=True)
        """
        if not is_container(node):
            return Below(tensor=spec_or_none(node) is not None)
        known = self._known.get(id(node))
        if known is None and depth < MAX_DEPTH:
            self._known[id(node)] = Below()  # in case the container holds itself
            known = self._known[id(node)] = self._search(node, depth)
        return known or Below()

    def _search(self, node: Any, depth: int) -> Below:
        tensor = dotted = False
        for name, child in items(node):
            found = self.below(child, depth + 1)
            tensor = tensor or found.tensor
            dotted = dotted or found.dotted or ("." in name and found.tensor)
            if tensor and dotted:
                break
        return Below(tensor, dotted)
