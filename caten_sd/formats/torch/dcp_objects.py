"""The objects that a .metadata has many of: each keeps little of its torch class's attributes."""

from __future__ import annotations

from operator import add
from typing import Any, ClassVar, NamedTuple

from caten_sd.encodings.pickle.known_object import KnownObject
from caten_sd.state.indexing import is_shape
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
        if not isinstance(record.path, str) or not is_shape(record[1:]):
            raise ValueError(f"{record} is not a range of bytes in a file")
        if self.transform_descriptors:
            raise ValueError(f"{record.path} was transformed by {self.transform_descriptors}")
        return record


def dcp_sizes(value: Any) -> Sizes:
    """Return a value as a shape; ValueError if it is not one."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (None,)
    if not is_shape(sizes):
        raise ValueError(f"a value of {counted(len(sizes), 'item')} is not a shape")
    return sizes
