"""The tree in an ``_METADATA``: the path of every value that was saved, and its kind.

Source: orbax/checkpoint/_src/metadata/tree.py (0.12.8). The name of an array is its path joined by
dots, and a part of a path may have dots itself, so that a name does not tell the path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.errors.printable import one_line
from caten_sd.files.json_hooks import unique
from caten_sd.state.json_text import parse_json
from caten_sd.state.source import Source
from caten_sd.state.tree import MAX_DEPTH

MOST_TEXT = 1 << 30  # bytes
_KEY = {"key", "key_type"}
_KEY_TYPES = (1, 2)  # an index, a name


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
        fields = parse_json(source.name, source.read(0, source.size), _members)
    except (ValueError, RecursionError) as error:
        _refuse(source, f"it is not the JSON that Orbax writes ({one_line(error, 80)})")
    listed = fields.get("tree_metadata") if isinstance(fields, dict) else None
    if not isinstance(listed, dict):
        _refuse(source, "it has no tree_metadata")
    values = [_value(source, name, each) for name, each in listed.items()]
    stores_all = fields.get("store_array_data_equal_to_fill_value") is True
    custom = fields.get("custom_metadata")
    is_ocdbt = fields.get("use_ocdbt") is True
    return SavedTree(values, not stores_all, is_ocdbt, custom if isinstance(custom, dict) else {})


def _members(pairs: list[tuple[str, Any]]) -> Any:
    """Return an object of the JSON; that of a key, of which there are many, as a pair."""
    members = unique(pairs)
    return (members["key"], members["key_type"]) if members.keys() == _KEY else members


def _value(source: Source, name: str, said: Any) -> SavedValue:
    keys = said.get("key_metadata") if isinstance(said, dict) else None
    about = said.get("value_metadata") if isinstance(said, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_DEPTH or not isinstance(about, dict):
        _refuse(source, f"what it says of {one_line(name, 80)} is not a path and a kind")
    for key in keys:
        if type(key) is not tuple or not isinstance(key[0], str) or key[1] not in _KEY_TYPES:
            _refuse(source, f"a part of the path {one_line(name, 80)} is neither index nor name")
    path, kind = tuple(key for key, _ in keys), about.get("value_type")
    if not isinstance(kind, str):
        _refuse(source, f"it does not say what {one_line(name, 80)} is")
    return SavedValue(path, ".".join(path), kind, about.get("skip_deserialize") is not True)


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
