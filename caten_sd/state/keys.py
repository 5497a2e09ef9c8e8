"""Keys and the paths they are made from: how a path becomes a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Path = list[Any]  # of str (a slot's name) and int (an index)
Pair = tuple[Path, Any]  # a path and its leaf
KeyMapper = Callable[[Path], str]

# A segment of decimal digits only, such as the 11 in h.11.attn; more digits are not an index.
INDEX_SEGMENT = re.compile(r"(?<![^.])[0-9]{1,18}(?![^.])")


class Name(str):
    """A path element that is data (a mapping's key, a name given by torch), not a slot's name.

    A key mapper keeps it as it is, hyphens included.
    """

    __slots__ = ()


def path_element(name: Any) -> Any:
    """Return the name of a slot or an item as an element of a path.

    A hyphen in it is data: no slot that Python declares has one.
    """
    return Name(str.__str__(name)) if isinstance(name, str) and "-" in name else name


def pytorch_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key of a path as PyTorch writes it: joined by ".", a slot's "-" turned into "_".

    >>> pytorch_style_dict_key(["h", 0, "ln-1", "bias"])
    'h.0.ln_1.bias'
    """
    try:
        key = ".".join(path)  # several times faster, and most paths hold no index
    except TypeError:
        key = ".".join([step if isinstance(step, str) else str(step) for step in path])
    return ".".join(map(_segment, path)) if "-" in key else key


def _segment(step: Any) -> str:
    if isinstance(step, str):
        return step if isinstance(step, Name) else step.replace("-", "_")
    return str(step)


def split_key(key: str) -> Path:
    """Return the path that a key stands for: its segments, those of digits as indices.

    >>> split_key("h.0.w")
    ['h', 0, 'w']
    """
    return [
        int(part) if part.isdecimal() and INDEX_SEGMENT.fullmatch(part) else part
        for part in key.split(".")
    ]


def renamed_path(path: Path, key: str, name: str) -> Path:
    """Return the path of a key under its new name, with the steps of the old one that are kept.

    >>> renamed_path(["h", 0, "x.y"], "h.0.x.y", "blocks.0.x.y")
    ['blocks', 0, 'x.y']
    """
    if name == key:
        return path
    end: Path = []
    while path and name.endswith(f".{pytorch_style_dict_key(path[-1:])}"):
        name = name[: -len(pytorch_style_dict_key(path[-1:])) - 1]
        path, end = path[:-1], [path[-1], *end]
    if path and name == pytorch_style_dict_key(path[-1:]):
        return [path[-1], *end]
    return [*split_key(name), *end]


def lisp_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key as Caten folds it, for paths of Lisp symbols: lower case, "-" to "_".

    >>> lisp_style_dict_key(["H", 0, "LN-1", "AFFINE"])
    'h.0.ln_1.affine'
    """
    return fold(".".join(map(str, path)), str.lower).replace("-", "_")


def fold(name: str, case: Callable[[str], str] = str.upper) -> str:
    """Return a name with each letter in upper case, or in another one, as Lisp folds it.

    A letter stays as it is if it has no counterpart of one letter.

    >>> fold("ln-1"), fold("straße"), fold("ÄÖ", str.lower)
    ('LN-1', 'STRAßE', 'äö')
    """
    return "".join(map(case, name)) if name.isascii() else "".join(_folded(name, case))


def _folded(name: str, case: Callable[[str], str]) -> Iterator[str]:
    for letter in name:
        other = case(letter)
        back = str.lower(other) if case is str.upper else str.upper(other)
        yield other if len(other) == len(back) == 1 else letter


def joined_key(parent: str | None, name: object) -> str:
    """Return the key of ``name`` below ``parent``; the root has an empty key, or None.

    >>> joined_key("h.0", "w"), joined_key("", 1)
    ('h.0.w', '1')
    """
    return f"{parent}.{name}" if parent else str(name)


def path_text(path: Path) -> str:
    """Return a path as a message names it."""
    return repr(pytorch_style_dict_key(path)) if path else "the root"
