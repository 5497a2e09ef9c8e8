"""Search a nested checkpoint for tensors and dotted keys, in time bounded by its size."""

from __future__ import annotations

from typing import Any, NamedTuple

from caten_sd.state.leaf import Spec, are_plain, spec_or_none
from caten_sd.state.tree import MAX_DEPTH, SHORT, is_container, is_table, items


def is_row_of_bytes(spec: Spec) -> bool:
    """Return whether a tensor may be the state of a random generator, as torch saves it."""
    return len(spec.shape) == 1 and spec.dtype.name == "uint8"


class Below(NamedTuple):
    """What is anywhere below a node.

    ``tensor``: a tensor. ``dotted``: a tensor under a key with a dot in it. ``weights``: a tensor
    that has axes and is not a row of bytes. ``other``: a row of bytes, or a value that is not a
    tensor.
    """

    tensor: bool = False
    dotted: bool = False
    weights: bool = False
    other: bool = False

    @property
    def holds_parameters(self) -> bool:
        """Whether it may be a model: it has weights, or tensors only, however small."""
        return self.weights or (self.tensor and not self.other)


ALL = Below(True, True, True, True)


class TensorSearch:
    """Searches each container once, even if many others hold it.

    Lists that hold each other twice would otherwise take exponential time: 200 bytes are enough.
    """

    def __init__(self) -> None:
        self._known: dict[int, Below] = {}

    def below(self, node: Any, depth: int = 0) -> Below:
        """Return what is below a node; a leaf counts as its own tensor.

        >>> import numpy
        >>> TensorSearch().below({"model": {"fc.w": numpy.ones((2, 2))}, "step": 3})
        Below(tensor=True, dotted=True, weights=True, other=True)
        """
        if not is_container(node):
            known_spec = spec_or_none(node)
            if known_spec is None:
                return Below(other=True)
            if is_row_of_bytes(known_spec):
                return Below(tensor=True, other=True)
            return Below(tensor=True, weights=bool(known_spec.shape))
        known = self._known.get(id(node))
        if known is None and type(node) in (list, tuple):
            if are_plain(node):
                known = Below(other=not {dict, list, tuple}.issuperset(map(type, node)))
            elif len(node) > SHORT and is_table(node):
                known = Below(other=True)
            if known is not None and len(node) > SHORT:
                self._known[id(node)] = known
        if known is None and depth < MAX_DEPTH:
            self._known[id(node)] = Below()  # in case the container holds itself
            known = self._known[id(node)] = self._search(node, depth)
        return known or Below()

    def _search(self, node: Any, depth: int) -> Below:
        found = Below()
        for name, child in items(node):
            inner = self.below(child, depth + 1)
            dotted = inner.dotted or ("." in name and inner.tensor)
            found = Below(
                found.tensor or inner.tensor,
                found.dotted or dotted,
                found.weights or inner.weights,
                found.other or inner.other,
            )
            if found == ALL:
                break
        return found
