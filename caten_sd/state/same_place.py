"""Compare leaves by place: the same object, or the same bytes in memory or in a file."""

from __future__ import annotations

from typing import Any

from caten_sd.state.leaf import memory


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


def _place(leaf: Any) -> Any:
    found = memory(leaf)
    return found and found.place(leaf)
