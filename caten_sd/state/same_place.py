"""Compare leaves by place: the same object, or the same bytes in memory or in a file."""

from __future__ import annotations

from typing import Any

from caten_sd.state.lazy_tensor import LazyTensor


def same_place(one: Any, other: Any) -> bool:
    """Return whether two leaves have the same data at the same place, without reading it.

    Object identity is not enough: ``torch.nn.Module.state_dict`` returns a new tensor object for
    each name of a tied parameter.

    >>> import numpy
    >>> array = numpy.zeros((2, 3))
    >>> same_place(array, array[:]), same_place(array, array.copy())
    (True, False)
    """
    if one is other:
        return True
    first = _place(one)
    return first is not None and first == _place(other)


def known_apart(one: Any, other: Any) -> bool:
    """Return whether two leaves are certainly at different places in memory.

    >>> import numpy
    >>> array = numpy.zeros((2, 3))
    >>> known_apart(array, array[:]), known_apart(array, array.copy())
    (False, True)
    """
    places = _place(one), _place(other)
    return one is not other and None not in places and places[0] != places[1]


def _place(leaf: Any) -> tuple[Any, ...] | None:
    if isinstance(leaf, LazyTensor):
        return id(leaf.source), leaf.offset, leaf.dtype, leaf.shape, leaf.strides, leaf.order
    if callable(pointer := getattr(leaf, "data_ptr", None)):
        # A tensor on the meta device, or an empty one, has no place.
        try:
            at = pointer()
        except (NotImplementedError, RuntimeError, ValueError):  # sparse, lazy
            return None
        return (at, leaf.dtype, leaf.shape, leaf.stride(), leaf.device) if at else None
    if isinstance(memory := getattr(leaf, "__array_interface__", None), dict):
        at = memory["data"][0]
        return (at, leaf.dtype, leaf.shape, leaf.strides) if at and leaf.size else None
    return None
