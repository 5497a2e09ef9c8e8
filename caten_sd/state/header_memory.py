"""How much memory what a header holds may take: 64 MB and 8 times the header's own size.

Python takes 72 bytes for an empty list, of which a file has one in a byte. So whoever makes
containers from a file counts what they take, and refuses before it is too much.
"""

from __future__ import annotations

from caten_sd.errors import FormatError
from caten_sd.wording import counted

TUPLE = 96  # bytes that a small tuple takes
CONTAINER = 240  # bytes that a list, dict or object takes: itself, and what the walks over it keep
SMALL_OBJECT = 160  # bytes that an object of a few slots takes, with what is made of it
FIELD = 88  # bytes that each of those takes in the mean: a tuple, a number or a text
ENTRY = 160  # bytes that each further entry of a dict takes, and of those that are made of it
LEAF = 240  # bytes that a tensor takes in a pickle: a leaf, and its places in dicts
TEXT = 80  # bytes that a short text takes, with its place in a list
NUMBER = 40  # bytes that a number takes, with its place in a list
SMALL = 8  # entries of a dict that CONTAINER covers

_NOT_WALKED = 1.5  # times as much may be taken, as it is counted here, where no tree is made
_SPARE = 64 << 20
_FACTOR = 8


class HeaderMemory:
    """Counts what the containers of one header take; FormatError if it is too much.

    ``walked`` says that a tree is made of them, which keeps something of each.

    >>> memory = HeaderMemory("a.pkl", 1000)
    >>> memory.take(CONTAINER)
    >>> memory.left
    67116624
    """

    __slots__ = ("_share", "_size", "_source_name", "left")

    def __init__(self, source_name: str, size: int, *, walked: bool = True) -> None:
        self._source_name, self._size = source_name, size
        self._share = 1.0 if walked else _NOT_WALKED
        self.left = int(self._share * (_SPARE + _FACTOR * size))

    def add(self, size: int) -> None:
        """Count more bytes of the header, which has not been read as a whole."""
        self._size += size
        self.left += int(self._share * _FACTOR * size)

    def take_entries(self, count: int, size: int) -> None:
        """Take bytes for entries of a dict that now has ``size`` of them."""
        if size > SMALL:
            self.take(ENTRY * count)

    def take(self, count: int) -> None:
        """Take bytes for a container."""
        self.left -= count
        if self.left < 0:
            raise FormatError(
                self._source_name,
                f"its lists, dicts, texts and objects take over {_SPARE >> 20} MB and "
                f"{_FACTOR} times the {counted(self._size, 'byte')} that hold them",
                "write only its tensors, where it was written: "
                '{k: v for k, v in state.items() if hasattr(v, "shape")}',
            )
