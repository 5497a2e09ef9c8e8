"""The values of a GGUF file's metadata, and a record of their types.

Values become int, float, bool, str or an Array. Python does not tell uint8 from int64, so the
metadata key TYPES records the type of each key: the name of a scalar type, [name] for an array of
it, or a list of such lists for an array of arrays. The record is plain JSON, so it survives other
formats, and GGUF that is written again has the same types.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.state.header_memory import CONTAINER

TYPES = "GGUF.types"
MAX_DEPTH = 4  # of arrays in arrays; no known file goes beyond 2
MAX_COPIED = 64 << 20  # bytes; a vocabulary has a tenth of it

# In the order of their numbers, with their struct codes; text and arrays have none.
SCALARS = (
    ("uint8", "B"),
    ("int8", "b"),
    ("uint16", "H"),
    ("int16", "h"),
    ("uint32", "I"),
    ("int32", "i"),
    ("float32", "f"),
    ("bool", "?"),
    ("string", ""),
    ("array", ""),
    ("uint64", "Q"),
    ("int64", "q"),
    ("float64", "d"),
)
NUMBERS = {name: number for number, (name, _) in enumerate(SCALARS)}
CODES = dict(SCALARS)


class Array(Sequence[Any]):
    """An array of scalars or strings, kept as its bytes and decoded on first use.

    It equals any sequence of the same values. ``stored`` is its bytes after the count. They are a
    copy, so that closing the file frees its map, unless there are more than MAX_COPIED.
    """

    __slots__ = ("_count", "_values", "order", "stored", "type")

    def __init__(self, type: str, count: int, stored: memoryview, order: str) -> None:
        self.type, self.order, self._count = type, order, count
        self.stored = stored if len(stored) > MAX_COPIED else bytes(stored)
        self._values: tuple[Any, ...] | None = None

    @property
    def values(self) -> tuple[Any, ...]:
        """The decoded values; bytes of a string that are not UTF-8 become \\xNN."""
        if self._values is None:
            if self.type == "string":
                texts = (text.decode("utf-8", "backslashreplace") for text in self.raw())
                self._values = tuple(texts)
            else:
                layout = f"{self.order}{self._count}{CODES[self.type]}"
                self._values = struct.unpack(layout, self.stored)
        return self._values

    def raw(self) -> tuple[Any, ...]:
        """Return the values, with strings as the bytes in the file."""
        if self.type != "string":
            return self.values
        unpack = struct.Struct(f"{self.order}Q").unpack_from
        texts, at, stored = [], 0, bytes(self.stored)
        for _ in range(self._count):
            end = at + 8 + unpack(stored, at)[0]
            texts.append(stored[at + 8 : end])
            at = end
        return tuple(texts)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, bytes)) or not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and self.values == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} x {self.type}>"


def read_value(header: HeaderBytes, order: str, what: str) -> tuple[Any, Any]:
    """Return the next value, and its type as TYPES records it."""
    name = _type_name(header, what)
    if name == "array":
        return _read_array(header, order, what, 1)
    if name == "string":
        return header.text(f"the value of {what}"), name
    code = CODES[name]
    stored = header.take(struct.calcsize(code), f"the value of {what}")
    _check_bools(header, name, stored, what)
    return struct.unpack(order + code, stored)[0], name


def _type_name(header: HeaderBytes, what: str) -> str:
    number = header.u32(f"the type of {what}")
    if number >= len(SCALARS):
        header.refuse(f"{what} has the unknown value type {number}")
    return SCALARS[number][0]


def _check_bools(header: HeaderBytes, name: str, stored: memoryview, what: str) -> None:
    if name == "bool" and bytes(stored).strip(b"\0\1"):
        header.refuse(f"{what} holds a bool that is neither 0 nor 1")


def _read_array(header: HeaderBytes, order: str, what: str, depth: int) -> tuple[Any, Any]:
    name = _type_name(header, f"the elements of {what}")
    header.remember(2 * CONTAINER)  # its type and its bytes are objects too
    if name == "array":
        return _read_nested(header, order, what, depth + 1)
    if name == "string":
        count = header.count(8, what)
        return Array(name, count, header.strings(count, what), order), [name]
    size = struct.calcsize(CODES[name])
    count = header.count(size, what)
    stored = header.take(count * size, what)
    _check_bools(header, name, stored, what)
    return Array(name, count, stored, order), [name]


def _read_nested(header: HeaderBytes, order: str, what: str, depth: int) -> tuple[Any, Any]:
    if depth > MAX_DEPTH:
        header.refuse(f"the arrays of {what} are nested more than {MAX_DEPTH} deep")
    count = header.count(12, what)
    pairs = [_read_array(header, order, what, depth) for _ in range(count)]
    return [value for value, _ in pairs], [type for _, type in pairs]


def default_type(value: Any) -> Any:
    """Return the type, as TYPES records it, for a value without a record; None if there is none.

    >>> default_type(12), default_type(-1), default_type(0.1), default_type(["a"])
    ('uint32', 'int32', 'float64', ['string'])
    """
    if isinstance(value, Array):
        return [value.type]
    if isinstance(value, (list, tuple)):
        return _array_type(value)
    return _scalar_type([value], "uint32")


def _array_type(values: Sequence[Any]) -> Any:
    if any(isinstance(value, (list, tuple, Array)) for value in values):
        types = [default_type(value) for value in values]
        return types if all(isinstance(type, list) for type in types) else None
    type = _scalar_type(values, "int32")
    return type and [type]


def _scalar_type(values: Sequence[Any], preferred: str) -> str | None:
    """Return the first type that holds all values exactly; ``preferred`` is the first for ints."""
    if all(isinstance(value, str) for value in values) and values:
        return "string"
    if all(isinstance(value, bool) for value in values) and values:
        return "bool"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        types = (preferred, "int32", "uint32", "int64", "uint64")
        return next((type for type in types if _is_exact(values, type)), None)
    if all(isinstance(value, float) for value in values):
        return "float32" if _is_exact(values, "float32") else "float64"
    return None


def _is_exact(values: Sequence[Any], type: str) -> bool:
    layout = f"<{len(values)}{CODES[type]}"
    try:
        stored = struct.unpack(layout, struct.pack(layout, *values))
    except (struct.error, OverflowError):
        return False
    return all(a == b or a != a for a, b in zip(values, stored, strict=True))
