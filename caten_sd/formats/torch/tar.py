"""torch's format before 0.2: a tar of pickles that list storages, tensors and the object.

``storages`` is a count, then for each storage a pickle of (key, location, class), an element count
and the elements, and at last the views. ``tensors`` is a count, then for each tensor a pickle of
(key, storage, class), its shape, strides and offset. Source: torch.serialization._legacy_load.
"""

from __future__ import annotations

import struct
from typing import Any

from caten_sd.encodings.pickle.inert_values import brief
from caten_sd.encodings.pickle.interpreter import Unpickled
from caten_sd.encodings.tar_headers import SourceStream, first_name, tar_members
from caten_sd.errors import FormatError
from caten_sd.formats.torch.pickles import load
from caten_sd.formats.torch.storage import DAMAGED, MAX_AXES, Storage
from caten_sd.formats.torch.types import StorageType
from caten_sd.state.source import Source

MEMBERS = ("sys_info", "pickle", "tensors", "storages")


def is_torch_tar(head: bytes) -> bool:
    """Return whether a file that begins so is a torch tar, by its first member's name."""
    return head[257:262] == b"ustar" and first_name(head) in MEMBERS


def read_tar(source: Source) -> Unpickled:
    """Read the whole file; FormatError if a member is missing, duplicated or malformed."""
    members = _members(source)
    for name in MEMBERS:
        if name not in members:
            raise FormatError(
                source.name, f"it is a torch tar without the member {name!r}", DAMAGED
            )
    machine = _TarCursor(members["sys_info"]).pickle()
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise FormatError(
            source.name, "it was written on a big-endian machine", "save it again there"
        )
    try:
        objects = _storages(_TarCursor(members["storages"]))
        objects.update(_tensors(_TarCursor(members["tensors"]), objects))
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise FormatError(source.name, f"its lists are malformed ({error})", DAMAGED) from error

    def persistent(identity: Any) -> Any:
        return identity[0] if type(identity) is tuple and identity else objects[int(identity)]

    return load(members["pickle"], persistent_load=persistent)


def _members(source: Source) -> dict[str, Source]:
    """Return the regular files of a tar; FormatError if it has any other member."""
    found: dict[str, Source] = {}
    for member in tar_members(SourceStream(source)):
        if member.kind != "file" or member.name in found:
            raise FormatError(
                source.name, f"its member {member.name!r} is not a regular file, or is in it twice"
            )
        found[member.name] = source.window(member.offset, member.size)
    return found


class _TarCursor:
    """A position in a member, which holds pickles and raw values one after another."""

    def __init__(self, member: Source) -> None:
        self.member, self._at = member, 0

    def pickle(self) -> Any:
        read = load(self.member, self._at)
        self._at = read.end
        return read.value

    def unpack(self, code: str) -> tuple[Any, ...]:
        size = struct.calcsize(code)
        return struct.unpack(code, self.window(size).read(0, size))

    def window(self, size: int) -> Source:
        window = self.member.window(self._at, size)
        self._at += size
        return window


def _storages(cursor: _TarCursor) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for _ in range(_count(cursor)):
        key, _, kind = cursor.pickle()
        (count,) = cursor.unpack("<q")
        if type(kind) is not StorageType or count < 0:
            raise ValueError(f"{brief(kind)} is not a torch storage class")
        found[_key(key)] = Storage(cursor.window(count * kind.element.itemsize), kind.element)
    for view, root, offset, count in cursor.pickle():
        storage = found[_key(root)]
        size = storage.element.itemsize
        window = storage.source.window(offset * size, count * size)
        found[_key(view)] = Storage(window, storage.element)
    return found


def _tensors(cursor: _TarCursor, storages: dict[int, Any]) -> dict[int, Any]:
    found = {}
    for _ in range(_count(cursor)):
        key, storage, _ = cursor.pickle()
        axes, _ = cursor.unpack("<ii")  # four more bytes follow: the count was once 64 bits wide
        if not 0 <= axes <= MAX_AXES:
            raise ValueError(f"a tensor has {axes} axes")
        shape, strides = cursor.unpack(f"<{axes}q"), cursor.unpack(f"<{axes}q")
        (offset,) = cursor.unpack("<q")
        found[_key(key)] = storages[_key(storage)].view(offset, shape, strides)
    return found


def _key(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{brief(value)} is not a key")
    return value


def _count(cursor: _TarCursor) -> int:
    count = cursor.pickle()
    if type(count) is not int or not 0 <= count <= cursor.member.size:
        raise ValueError(f"{brief(count)} is not a count")
    return count
