"""Keys taken apart into a template and its indices, and put together again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from caten_sd.mapping.pattern_pieces import HOLE, taken_apart

# Numbers between separators, or after a whole word, as in layer_3; not that of fc_1.
_NAMES = re.compile(r"(?:^|[./]|[a-z]{4}_)(\d{1,18})(?=[./]|$)")


class Indexed(NamedTuple):
    """A key as a template, with a hole for each number, and the numbers."""

    template: str
    numbers: tuple[int, ...]


def indexed(key: str) -> Indexed:
    """Return a key's template and numbers.

    >>> indexed("h.3.mlp.fc1").numbers
    (3, 1)
    """
    template, numbers = taken_apart(key)
    return Indexed(template, tuple(map(int, numbers)))


def filled(template: str, texts: Sequence[object]) -> str:
    """Return the key with these numbers, or the pattern with these captures.

    >>> filled(indexed("h.3.mlp.fc1").template, ["{i}", 2])
    'h.{i}.mlp.fc2'
    """
    first, *rest = template.split(HOLE)
    return "".join([first, *(f"{text}{after}" for text, after in zip(texts, rest, strict=True))])


def context(key: str) -> tuple[int, ...]:
    """Return the numbers that are a name of their own: the block that the tensor is in.

    >>> context("h.3.mlp.fc1.weight"), context("layer_3/w")
    ((3,), (3,))
    """
    return tuple(int(number) for number in _NAMES.findall(key))


def parent(key: str) -> str:
    """Return what a key has before its last name, with the sign between them.

    >>> parent("h.3.bias"), parent("bias")
    ('h.3.', '')
    """
    end = max(key.rfind("."), key.rfind("/"))
    return key[: end + 1]
