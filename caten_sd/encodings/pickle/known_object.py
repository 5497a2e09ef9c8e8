"""Objects of the classes that a reader knows, which keep only what it needs of their attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class KnownObject:
    """An object of a class that a reader knows; ``allowed`` of unpickle maps its name to this."""

    __slots__: tuple[str, ...] = ()

    def set_state(self, state: Any) -> None:
        """Take the state that the pickle sets; ValueError if it is not one of this class."""
        raise NotImplementedError

    @classmethod
    def setter(cls, names: Sequence[str]) -> Callable[[Any, Sequence[Any]], None]:
        """Return what gives an object the values of attributes, as ``set_state`` does by a dict."""
        return lambda target, values: target.set_state(dict(zip(names, values, strict=True)))


def tuple_of(values: Any = ()) -> tuple[Any, ...]:
    """Return the tuple that an object of a subclass, such as torch.Size, is made of."""
    if not isinstance(values, (tuple, list)):
        raise ValueError("a tuple is not made of a sequence")
    return tuple(values)


class ObjectForm(NamedTuple):
    """How all objects of a class lie in one pickle: the groups of a pattern are the values.

    ``opcodes`` make the object, and ``attributes`` finds what follows them. ``entry`` finds the
    object and a text before it, its key in a dict, if there is one. ``whole`` is without groups.
    """

    make: type[KnownObject]
    opcodes: bytes
    set_values: Callable[[Any, list[Any]], None]
    attributes: re.Pattern[bytes]
    entry: re.Pattern[bytes]
    whole: bytes
    has_lists: bool
