"""The file names of a model's shards.

Convention: ``huggingface_hub.split_state_dict_into_shards_factory``. A save over shards that are in
use gives the new ones another generation, ``model-g1-00001-of-00002.safetensors``, so that no name
is used twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import NamedTuple

_NAME = re.compile(
    r"(?P<stem>.+?)(?:-g(?P<generation>[0-9]{1,6}))?-(?P<number>[0-9]{5})-of-(?P<total>[0-9]{5})"
    r"(?P<suffix>\.(?:safetensors|bin|gguf))"
)
MOST = 999_999  # generations, which have 6 digits


class ShardName(NamedTuple):
    """The name of shard ``number`` of ``total``, counted from 1."""

    stem: str
    generation: int
    number: int
    total: int
    suffix: str

    def __str__(self) -> str:
        generation = f"-g{self.generation}" if self.generation else ""
        return f"{self.stem}{generation}-{self.number:05}-of-{self.total:05}{self.suffix}"


def shard_name(name: str) -> ShardName | None:
    """Return the parts of a shard's name, or None if this is not one.

    >>> str(shard_name("model-00002-of-00003.safetensors")._replace(generation=1))
    'model-g1-00002-of-00003.safetensors'
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    number, total = int(found["number"]), int(found["total"])
    return ShardName(found["stem"], int(found["generation"] or 0), number, total, found["suffix"])


def free_generation(names: Iterable[str], stem: str, suffix: str, *, alone: bool = True) -> int:
    """Return a generation that no shard there has, or a random one if another save may choose, too.

    It is the next one, so that no name comes back while a reader may still follow an old index.
    """
    taken = {known.generation for known in shards_of(names, stem, suffix)}
    following = max(taken, default=-1) + 1
    choices = chain([following] * (following <= MOST), count()) if alone else _random_generations()
    return next(choice for choice in choices if choice not in taken)


def _random_generations() -> Iterator[int]:
    while True:
        yield 1 + int.from_bytes(os.urandom(8), "big") % MOST


def shards_of(names: Iterable[str], stem: str, suffix: str) -> list[ShardName]:
    """Return the names of the shards with that stem and suffix, of any generation."""
    known = map(shard_name, names)
    return [name for name in known if name and (name.stem, name.suffix) == (stem, suffix)]
