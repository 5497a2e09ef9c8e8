"""Split a model into shards of a given size."""

from __future__ import annotations

import re
from collections.abc import Mapping

from caten_sd.errors import StateDictError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(I?)B?", re.IGNORECASE)


def split_sizes(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Return the keys of each shard, in order; only a single larger tensor may exceed the limit.

    >>> split_sizes({"a": 4, "b": 3, "c": 9, "d": 2}, 6)
    [['a'], ['c'], ['b', 'd']]
    """
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for key, size in sizes.items():
        if size > limit:
            shards.append([key])
            continue
        if filled + size > limit:
            shards.append(current)
            current, filled = [], 0
        current.append(key)
        filled += size
    return [*shards, current] if current or not shards else shards


def byte_count(size: int | str) -> int:
    """Return a number of bytes that is given as such or as text.

    >>> byte_count("5GB"), byte_count("2 MiB"), byte_count(10)
    (5000000000, 2097152, 10)
    """
    found = _SIZE.fullmatch(str(size).strip())
    if not found or not float(found[1]):
        raise StateDictError(f'{size!r} is not a size; write it as 5000000, "5GB" or "5GiB"')
    power = " KMGT".index(found[2].upper() or " ")
    return max(1, int(float(found[1]) * (1024 if found[3] else 1000) ** power))
