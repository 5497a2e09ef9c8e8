"""Objects of the classes that a reader knows, which keep only what it needs of their attributes."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class KnownObject:
    """An object of a class that a reader knows; ``allowed`` of unpickle maps its name to this."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        """Take the attributes that the pickle sets; ValueError if they are not of this class."""
        raise NotImplementedError


def tuple_of(values: Any = ()) -> tuple[Any, ...]:
    """Return the tuple that an object of a subclass, such as torch.Size, is made of."""
    if not isinstance(values, (tuple, list)):
        raise ValueError("a tuple is not made of a sequence")
    return tuple(values)


class ObjectForm(NamedTuple):
    """How all objects of a class lie in one pickle: ``fields`` finds the values of the names.

    ``opcodes`` make the object, without its attributes.
    """

    make: type[KnownObject]
    opcodes: bytes
    names: tuple[str, ...]
    fields: re.Pattern[bytes]
