"""torch's format before 1.6: five pickles in a row, then the bytes of each storage.

The pickles are a magic number, the protocol, facts about the machine, the object, and the keys of
the storages in the order of their bytes. A storage is its element count, 64 bits little endian, and
its elements. Source: torch.serialization._legacy_save.
"""

from __future__ import annotations

from typing import Any

from caten_sd.encodings.pickle.inert_values import brief
from caten_sd.encodings.pickle.interpreter import Unpickled
from caten_sd.errors import FormatError
from caten_sd.formats.torch.pickles import StorageId, load, storage_id
from caten_sd.formats.torch.storage import DAMAGED, Storage
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_NESTING = 3  # of files; a tensor pickled without torch.save holds a file of its storage
HEAD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def read_stream(source: Source, level: int = 0) -> Unpickled:
    """Read the whole stream; FormatError if a storage is missing, too long or never used."""
    storages = LegacyStorages(source)
    pickled = load(
        source,
        _check_head(source),
        persistent_load=storages.persistent,
        nested=nested_reader(source.name, level),
    )
    keys = load(source, pickled.end)
    storages.locate(keys.value, keys.end)
    return pickled


def nested_reader(name: str, level: int = 0) -> Any:
    """Return a function that reads the stream of one storage, stored as bytes in a pickle.

    It raises ValueError if such streams nest too deep.
    """

    def read(data: Any) -> Storage:
        inner = _named(data, f"{name}: a pickled storage")
        if level >= MAX_NESTING or inner is None:
            raise ValueError(
                "a storage is not stored as the bytes of a file, or nests such files too deep"
            )
        value = read_stream(inner, level + 1).value
        if type(value) is not Storage:
            raise ValueError("the file of a storage does not hold a storage")
        return value

    return read


def _named(data: Any, name: str) -> Source | None:
    """Return a byte string as a source of this name; None for another value."""
    if type(data) is Source:
        return Source.of(data, name)
    known = type(data) in (bytes, bytearray)
    return Source(name, BytesBacking(data), 0, len(data)) if known else None


def _check_head(source: Source) -> int:
    magic, at, *_ = load(source)
    if type(magic) is not int or magic != MAGIC:
        raise FormatError(source.name, "it does not begin with torch's magic number", DAMAGED)
    protocol, at, *_ = load(source, at)
    if type(protocol) is not int or protocol != PROTOCOL:
        raise FormatError(
            source.name, f"its protocol is {brief(protocol)}, not {PROTOCOL}", DAMAGED
        )
    machine, at, *_ = load(source, at)
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise FormatError(
            source.name,
            "it was written on a big-endian machine, where torch's versions differ in byte order",
            "save it again in torch's zip format",
        )
    return at


class LegacyStorages:
    """The storages that the object's pickle names before their positions are known."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._roots: dict[str, tuple[_DelayedBacking, Storage, int]] = {}
        self._views: dict[tuple[str, str], Storage] = {}

    def persistent(self, identity: Any) -> Any:
        """Return the storage of a persistent id, or the class if the id is (class, its source)."""
        if type(identity) is tuple and identity and identity[0] == "module":
            return identity[1]
        wanted = storage_id(identity)
        if wanted.key not in self._roots:
            size = wanted.size * wanted.element.itemsize
            backing = _DelayedBacking(self._source)
            inner = Source(f"{self._source.name}: storage {wanted.key}", backing, 0, size)
            root = backing, Storage(inner, wanted.element), wanted.size
            self._roots[wanted.key] = root
        _, storage, count = self._roots[wanted.key]
        if storage.element is not wanted.element or count != wanted.size:
            raise ValueError(
                f"two tensors disagree on the dtype or the size of storage {wanted.key}"
            )
        return storage if wanted.view is None else self._view(storage, wanted)

    def _view(self, root: Storage, wanted: StorageId) -> Storage:
        if type(wanted.view) is not tuple or len(wanted.view) != 3:
            raise ValueError("the view of a storage lacks its key, offset or size")
        key, offset, count = wanted.view
        if type(key) is not str or type(offset) is not int or type(count) is not int:
            raise ValueError("the view of a storage lacks its key, offset or size")
        if (wanted.key, key) not in self._views:
            size = root.element.itemsize
            window = root.source.window(offset * size, count * size)
            self._views[wanted.key, key] = Storage(window, root.element)
        return self._views[wanted.key, key]

    def locate(self, keys: Any, at: int) -> None:
        """Set the position of each storage; together they must fill the file from ``at`` on."""
        source = self._source
        known = type(keys) is list and all(type(key) is str for key in keys)
        if not known or len(keys) != len(self._roots) or set(keys) != set(self._roots):
            raise FormatError(
                source.name, "its storages are not the ones that its tensors name", DAMAGED
            )
        for key in keys:
            backing, storage, count = self._roots[key]
            held = int.from_bytes(source.read(at, 8), "little", signed=True)
            if held != count:
                raise FormatError(
                    source.name,
                    f"its storage {key} has {held} elements, and its tensors name {count}",
                    DAMAGED,
                )
            backing.start = at + 8
            at = backing.start + storage.source.size
            if at > source.size:
                raise FormatError(
                    source.name, f"it is {at - source.size} bytes short of storage {key}", DAMAGED
                )
        if at != source.size:
            raise FormatError(source.name, f"{source.size - at} bytes follow its data", DAMAGED)


class _DelayedBacking:
    """A range of a file; its start is set after the header has been read."""

    def __init__(self, source: Source) -> None:
        self._source, self.start = source, 0

    @property
    def mapped(self) -> bool:
        return self._source.mapped

    def view(self, start: int, count: int) -> memoryview:
        return self._source.view(self.start + start, count)

    def read(self, start: int, count: int) -> bytes:
        return self._source.read(self.start + start, count)

    def read_into(self, start: int, buffer: memoryview) -> None:
        self._source.read_into(self.start + start, buffer)

    def close(self) -> None:
        self._source.close()
