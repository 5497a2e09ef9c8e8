"""Trees of tensors and plain values, for formats that hold only tensors.

Tensors stay leaves, each at its path. Everything else becomes one JSON text, stored as bytes at
``values``. Metadata would be lost when somebody copies only the tensors, and 0-d arrays cannot hold
None, tuples or text.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.state.json_text import parse_json
from caten_sd.state.keys import Name, Pair, Path, joined_key, path_text, pytorch_style_dict_key
from caten_sd.state.leaf import Numpy, as_array, spec_or_none
from caten_sd.state.saved_leaf import SavedLeaf
from caten_sd.state.training_keys import VALUES
from caten_sd.wording import a_or_an

_PLAIN = (type(None), bool, int, float, str)


class _Codec(NamedTuple):
    """How JSON holds a class that it lacks: as ``{tag: to_parts(value)}``.

    ``nested`` says that the parts may hold values which need a codec themselves.
    """

    tag: str
    kind: type
    to_parts: Callable[[Any], Any]
    from_parts: Callable[[Any], Any]
    nested: bool = True


_CODECS = (
    _Codec("$counter", Counter, lambda c: list(c.items()), lambda parts: Counter(dict(parts))),
    _Codec("$deque", deque, lambda d: [list(d), d.maxlen], lambda p: deque(p[0], maxlen=p[1])),
    _Codec("$tuple", tuple, list, tuple),
    _Codec("$set", set, sorted, set),
    _Codec("$complex", complex, lambda c: [c.real, c.imag], lambda p: complex(*p), nested=False),
    _Codec("$bytes", bytes, bytes.hex, bytes.fromhex, nested=False),
)
_BY_TAG = {codec.tag: codec for codec in _CODECS}


def tree_pairs(tree: Any, parent: Path) -> list[Pair]:
    """Return the tensors of a tree under their paths, and last the text of everything else.

    StateDictError if the tree holds a value that no file can hold.

    >>> [(path, getattr(leaf, "nbytes", 0)) for path, leaf in tree_pairs({"lr": 0.1}, ["adam"])]
    [(['adam', 'values'], 10)]
    """
    pairs: list[Pair] = []
    text = _text_leaf(_encode(tree, list(parent), pairs))
    return [*pairs, ([*parent, VALUES], text)]


def _encode(value: Any, path: Path, pairs: list[Pair]) -> Any:
    """Return a value as JSON has it, and append its tensors to the pairs."""
    if isinstance(value, _PLAIN):
        return value
    if type(value) is list:
        return [_encode(child, [*path, at], pairs) for at, child in enumerate(value)]
    if isinstance(value, Mapping) and not isinstance(value, Counter):
        return _encode_mapping(value, path, pairs)
    for codec in _CODECS:
        if isinstance(value, codec.kind):
            parts = codec.to_parts(value)
            return {codec.tag: _encode(parts, path, pairs) if codec.nested else parts}
    if _kind_of(value) == "number":
        pairs.append((path, value.__array__()))
        return {"$leaf": "number"}
    if spec_or_none(value) is None:
        raise StateDictError(
            f"{path_text(path)} is {a_or_an(type(value).__name__)}, which no file can hold without "
            f"running code from it; leave it out of the state_dict() it comes from"
        )
    pairs.append((path, value))
    return {"$leaf": _kind_of(value)}


def _encode_mapping(value: Mapping[Any, Any], path: Path, pairs: list[Pair]) -> Any:
    encoded = [(key, _encode(child, [*path, Name(key)], pairs)) for key, child in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in encoded):
        return dict(encoded)
    return {"$dict": [[_encode(key, path, pairs), child] for key, child in encoded]}


def _kind_of(leaf: Any) -> str:
    """Return the kind of array that a leaf is read back as: numpy's own, or else torch's."""
    if type(leaf).__module__.partition(".")[0] != "numpy" or not hasattr(leaf, "dtype"):
        return "torch"
    return "numpy" if hasattr(leaf, "__setitem__") else "number"


def _text_leaf(value: Any) -> Any:
    """Return a JSON value as a leaf of bytes."""
    import numpy as np

    return np.frombuffer(bytearray(json.dumps(value, separators=(",", ":")).encode()), np.uint8)


def _parsed_text(leaf: Any) -> Any:
    """Return the JSON value of a leaf of bytes; LoadError if it does not hold one."""
    try:
        raw = as_array(Numpy(), leaf)
        if raw.ndim != 1 or raw.dtype.itemsize != 1:
            raise LoadError(f"it is {list(raw.shape)} {raw.dtype}")
        return parse_json("it", raw.tobytes())
    except (CatenError, ValueError, RecursionError) as error:
        problem = f"the text of a training state is damaged: {error}; nothing was changed"
        raise LoadError(problem) from error


def read_tree(leaves: Mapping[str, Any], parent: str) -> Any:
    """Return the tree whose text is at ``parent.values``, with a SavedLeaf for every tensor.

    LoadError if the text is damaged or names a leaf that is missing.
    """
    text = _parsed_text(leaves[joined_key(parent, VALUES)])
    try:
        return _decode(text, [parent] if parent else [], leaves)
    except (TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise LoadError(
            f"the text {parent}.{VALUES} is damaged ({error}); nothing was changed"
        ) from error


def _decode(value: Any, path: Path, leaves: Mapping[str, Any]) -> Any:
    """Return what ``_encode`` was given, from the JSON that it returned."""
    if isinstance(value, list):
        return [_decode(child, [*path, at], leaves) for at, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if len(value) != 1 or not tag.startswith("$"):
        return {key: _decode(child, [*path, key], leaves) for key, child in value.items()}
    parts = value[tag]
    if tag == "$leaf":
        return _saved_leaf(_key(path), leaves, parts)
    if tag == "$dict":
        pairs = [(_decode(key, [], leaves), child) for key, child in parts]
        return {key: _decode(child, [*path, key], leaves) for key, child in pairs}
    if tag not in _BY_TAG:
        raise ValueError(f"it has a value {tag!r}, written by a later version")
    codec = _BY_TAG[tag]
    return codec.from_parts(_decode(parts, path, leaves) if codec.nested else parts)


def _saved_leaf(key: str, leaves: Mapping[str, Any], kind: str) -> SavedLeaf:
    if key not in leaves:
        raise LoadError(f"{key} is missing from the file, whose text names it; nothing was changed")
    return SavedLeaf(key, leaves[key], kind)


def _key(path: Path) -> str:
    return pytorch_style_dict_key([Name(p) if isinstance(p, str) else p for p in path])
