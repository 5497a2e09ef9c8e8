"""The tree in an ``_METADATA``: the path of every value that was saved, and its kind.

Source: orbax/checkpoint/_src/metadata/tree.py (0.12.8). The name of an array is its path joined by
dots, and a part of a path may have dots itself, so that a name does not tell the path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.errors.printable import one_line
from caten_sd.files.json_hooks import unique
from caten_sd.state.header_memory import TUPLE, HeaderMemory
from caten_sd.state.json_text import ObjectSize, take_json
from caten_sd.state.source import Source
from caten_sd.state.tree import MAX_DEPTH

MOST_TEXT = 1 << 30  # bytes
_OF_KEY, _OF_VALUE = {"key", "key_type"}, {"key_metadata", "value_metadata"}
_KEY_TYPES = (1, 2)  # an index, a name
_REDUCED = ObjectSize(TUPLE, 0)
_KEPT, _MEMBER = 232, 66  # bytes of another object, and of each of its members


class _PathPart(NamedTuple):
    """A part of a path."""

    name: Any
    type: Any


class _SavedKind(NamedTuple):
    """What a value is, and whether nothing is stored of it."""

    kind: Any
    skipped: Any


class _TreeEntry(NamedTuple):
    """A path and a kind."""

    path: Any
    about: Any


class SavedValue(NamedTuple):
    """A value that was saved: its path, the name of its array, and its kind.

    ``is_stored`` is false for None and empty containers, which have no array.
    """

    path: tuple[str, ...]
    name: str
    kind: str
    is_stored: bool


class SavedTree(NamedTuple):
    """What an ``_METADATA`` says; ``sparse``: a chunk of the fill value alone may be absent."""

    values: list[SavedValue]
    sparse: bool
    is_ocdbt: bool
    custom: Mapping[str, Any]


def read_tree(source: Source) -> SavedTree:
    """Return the tree that was saved; FormatError if the metadata is malformed."""
    if source.size > MOST_TEXT:
        _refuse(source, f"it is of {source.size:,} bytes")
    try:
        fields = _ReducedTree(source).read()
    except (ValueError, RecursionError) as error:
        _refuse(source, f"it is not the JSON that Orbax writes ({one_line(error, 80)})")
    listed = fields.get("tree_metadata") if isinstance(fields, dict) else None
    if not isinstance(listed, dict):
        _refuse(source, "it has no tree_metadata")
    values = [_value(source, name, each) for name, each in listed.items()]
    # In zarr an absent chunk is one of the fill value. Orbax has written such chunks, too, since it
    # states so here, and reads an absent one as missing data; in older checkpoints, which do not
    # state it, and from which tensorstore left such chunks out, it fills them. So do we.
    stores_all = fields.get("store_array_data_equal_to_fill_value") is True
    custom = fields.get("custom_metadata")
    is_ocdbt = fields.get("use_ocdbt") is True
    return SavedTree(values, not stores_all, is_ocdbt, custom if isinstance(custom, dict) else {})


class _ReducedTree:
    """Reads the JSON; of the objects of which each value has some, it makes tuples at once."""

    def __init__(self, source: Source) -> None:
        self._source, self._memory = source, HeaderMemory(source.name, source.size)

    def read(self) -> Any:
        """Return the value of the text; ValueError if it is not JSON."""
        text = self._source.read(0, self._source.size)
        take_json(self._memory, text, _REDUCED)
        return json.loads(text.decode(), object_pairs_hook=self._object)

    def _object(self, pairs: list[tuple[str, Any]]) -> Any:
        members = unique(pairs)
        names = members.keys()
        if names == _OF_KEY:
            return _PathPart(members["key"], members["key_type"])
        if names == _OF_VALUE:
            return _TreeEntry(members["key_metadata"], members["value_metadata"])
        if "value_type" in names:
            return _SavedKind(members["value_type"], members.get("skip_deserialize"))
        self._memory.take(_KEPT + _MEMBER * len(members))
        return members


def _value(source: Source, name: str, said: Any) -> SavedValue:
    keys, about = said if type(said) is _TreeEntry else (None, None)
    if type(keys) is not list or len(keys) > MAX_DEPTH or type(about) is not _SavedKind:
        _refuse(source, f"what it says of {one_line(name, 80)} is not a path and a kind")
    for key in keys:
        if type(key) is not _PathPart or type(key.name) is not str or key.type not in _KEY_TYPES:
            _refuse(source, f"a part of the path {one_line(name, 80)} is neither index nor name")
    if type(about.kind) is not str:
        _refuse(source, f"it does not say what {one_line(name, 80)} is")
    path = tuple(key.name for key in keys)
    return SavedValue(path, ".".join(path), about.kind, about.skipped is not True)


def flat_items(tree: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a nested tree with their dotted keys.

    >>> list(flat_items({"a": {"b": 1}, "c": 2}))
    [('a.b', 1), ('c', 2)]
    """
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat_items(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(source.name, problem, "it is damaged, so get it again")
