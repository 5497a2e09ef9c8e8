"""The names and unknown objects of a pickle, as values that hold data and do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.encodings.pickle.inert_names import is_inert, is_plain_data
from caten_sd.errors import FormatError
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source
from caten_sd.wording import a_or_an, counted

DO_NOT_USE = "no checkpoint needs that, so do not load this file anywhere; nothing was run"

MAX_NAME = 500  # characters of a name that is put together; the parts of one may be any size


class Instance(Opaque):
    """An object whose class is not imported; ``entries`` are the items of a list, dict or set."""

    __slots__ = ("entries",)

    def __init__(self, name: str, args: Any = (), state: Any = None, entries: Any = None) -> None:
        super().__init__(name, args, state)
        self.entries = entries

    def call(self, args: Any) -> Instance:
        """Return what calling this would make, as inert: a class may be made by a call itself."""
        if self.name == "builtins.getattr" and len(self.args) == 2:
            owner, attribute = self.args
            if type(owner) is Reference and type(attribute) is str:
                name = f"{owner.name[:MAX_NAME]}.{attribute[:MAX_NAME]}"
                return Reference(name, owner.source_name).call(args)  # type: ignore[no-any-return]
        name = self.name if self.name.endswith("()") else f"{self.name}()"
        return Instance(name, (self, *args) if type(args) is tuple else (self, args))


class Attributed(Instance):
    """A tensor, which is the only argument, with attributes of its own in ``state``."""

    __slots__ = ()


class Reference(Opaque):
    """A class or function that a pickle names; ``make`` is our own function for it, or None."""

    __slots__ = ("make", "source_name")

    def __init__(self, name: str, source_name: str, make: Callable[..., Any] | None = None) -> None:
        super().__init__(name)
        self.source_name, self.make = source_name, make

    @property
    def is_plain_data(self) -> bool:
        """Whether it only makes plain data, of Python, numpy or torch."""
        return self.make is not None or is_plain_data(self.name)

    def call(self, args: Any, *, bare: bool = False) -> Any:
        """Return the result of our own function, or an inert Instance.

        ``bare``: an object is made without running its initializer, which is harmless.
        """
        if type(args) is not tuple:
            raise ValueError(f"{self.name} is called with {brief(args)}, not a tuple")
        if self.make is not None:
            return self.make(*args)
        if (bare and not args) or is_inert(self.name):
            return Instance(self.name, args)
        raise FormatError(self.source_name, f"it asks to call {self.name}", DO_NOT_USE)


class Ordered(dict[Any, Any]):
    """An OrderedDict of a pickle; ``state`` is what was set on it besides its items."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = None


def brief(value: Any) -> str:
    """Return a short text for a value of a pickle; its ``repr`` could be endless.

    >>> brief("name"), brief(1 << 99999), brief([1])
    ("'name'", 'an integer of 100000 bits', 'a list')
    """
    if isinstance(value, Opaque):
        return value.name[:80]
    if isinstance(value, Source):
        return f"a byte string of {counted(value.size, 'byte')}"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, (str, bytes, int, float)):
        return repr(value[:99] if isinstance(value, (str, bytes)) else value)[:40]
    return f"{a_or_an(type(value).__name__)}"


_UNHASHABLE = (list, dict, set, bytearray, Ordered, Source)


def check_key(key: Any) -> None:
    """ValueError unless the key can be hashed in bounded time; tuples that share items cannot.

    >>> check_key(("a", 1))
    >>> check_key([])
    Traceback (most recent call last):
    ValueError: a list is used as a key
    """
    nodes, budget = [key], 1000
    while nodes:
        node = nodes.pop()
        kind = type(node)
        budget -= len(node) if kind is tuple else 1
        if budget < 0:
            raise ValueError("a key nests or repeats without bound")
        if kind is tuple:
            nodes.extend(node)
        elif kind is int and not -(1 << 63) <= node < 1 << 64:
            # Python hashes integers modulo 2^61 - 1, so longer ones can be made to collide.
            raise ValueError("a key is an integer of more than 64 bits")
        elif kind in _UNHASHABLE:
            raise ValueError(f"a {kind.__name__} is used as a key")
