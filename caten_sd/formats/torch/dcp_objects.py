"""The objects that a .metadata has many of: each keeps little of its torch class's attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from typing import Any, ClassVar, NamedTuple

from caten_sd.encodings.pickle.known_object import KnownObject
from caten_sd.formats.torch.types import ElementType
from caten_sd.state.indexing import is_shape, is_size
from caten_sd.state.tiles import Sizes
from caten_sd.state.tree import key_text
from caten_sd.wording import counted


class Record(NamedTuple):
    """The file, the first byte and the length of one torch.save."""

    path: str
    offset: int
    length: int


class DcpObject(KnownObject):
    """An object of the torch class of that name, with those of its attributes that count."""

    __slots__: tuple[str, ...] = ()
    torch_name: ClassVar[str]

    def set_state(self, state: Any) -> None:
        """Keep the attributes as they are, None for those that are not there."""
        for name in self.__slots__:
            setattr(self, name, state.get(name) if isinstance(state, dict) else None)

    @classmethod
    def setter(cls, names: Sequence[str]) -> Callable[[Any, Sequence[Any]], None]:
        """Return what sets every attribute, as ``set_state`` does, in a third of the time."""
        slots = [(getattr(cls, slot).__set__, slot) for slot in cls.__slots__]
        kept = [(put, names.index(slot)) for put, slot in slots if slot in names]
        absent = [put for put, slot in slots if slot not in names]

        def set_values(target: Any, values: Sequence[Any]) -> None:
            for put, place in kept:
                put(target, values[place])
            for put in absent:
                put(target, None)

        return set_values


class DcpProperties(DcpObject):
    """What is the same of all boxes of a tensor; torch sets its state as a tuple."""

    __slots__ = ("dtype",)
    torch_name = "TensorProperties"
    dtype: Any

    def set_state(self, state: Any) -> None:
        """Keep the dtype as it is, None if it is not there."""
        super().set_state(state)
        if isinstance(state, tuple) and state:
            self.dtype = state[0]

    def element(self) -> ElementType:
        """Return the type of an element; ValueError if it is not one."""
        if not isinstance(self.dtype, ElementType):
            raise ValueError("a tensor has no dtype")
        return self.dtype


class DcpStored(DcpObject):
    """A tensor, and the boxes that it was cut into."""

    __slots__ = ("chunks", "properties", "size")
    torch_name = "TensorStorageMetadata"
    properties: Any
    size: Any
    chunks: Any


class DcpBox(DcpObject):
    """A box of a tensor."""

    __slots__ = ("offsets", "sizes")
    torch_name = "ChunkStorageMetadata"
    offsets: Any
    sizes: Any

    def bounds(self) -> tuple[Sizes, Sizes]:
        """Return where the box begins and ends on every axis; ValueError if it is not one."""
        start, sizes = dcp_sizes(self.offsets), dcp_sizes(self.sizes)
        if len(start) != len(sizes):
            raise ValueError(f"a box of {list(sizes)} begins at {list(start)}")
        return start, tuple(map(add, start, sizes))


class DcpIndex(DcpObject):
    """The key of a tensor, and the corner of one of its boxes, None if not recorded."""

    __slots__ = ("fqn", "offset")
    torch_name = "MetadataIndex"
    fqn: Any
    offset: Any

    def key(self) -> tuple[str, Sizes | None]:
        """Return the key and the corner; ValueError if the corner is not one."""
        if self.fqn is None:
            raise ValueError("an index has no key")
        return key_text(self.fqn), None if self.offset is None else dcp_sizes(self.offset)


class DcpPlace(DcpObject):
    """Which record holds a box."""

    __slots__ = ("length", "offset", "relative_path", "transform_descriptors")
    torch_name = "_StorageInfo"
    relative_path: Any
    offset: Any
    length: Any
    transform_descriptors: Any

    def record(self) -> Record:
        """Return the record; ValueError if it is not a range of bytes, or was transformed."""
        record = Record(self.relative_path, self.offset, self.length)
        if type(record.path) is not str or not (is_size(record.offset) and is_size(record.length)):
            raise ValueError(f"{record} is not a range of bytes in a file")
        if self.transform_descriptors:
            raise ValueError(f"{record.path} was transformed by {self.transform_descriptors}")
        return record


def dcp_sizes(value: Any) -> Sizes:
    """Return a value as a shape; ValueError if it is not one."""
    sizes = value if type(value) is tuple else tuple(value) if type(value) is list else (None,)
    if not is_shape(sizes):
        raise ValueError(f"a value of {counted(len(sizes), 'item')} is not a shape")
    return sizes
