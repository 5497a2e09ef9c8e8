"""A model split over several files: their names, the index that lists them, and how to split.

Convention: huggingface_hub.split_state_dict_into_shards_factory. A save over a live set gives its
shards another generation, ``model-g1-00001-of-00002.safetensors``, so that no name collides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.json_hooks import plain, unique
from caten_sd.state.source import Source

MAX_INDEX = 256 << 20  # bytes
INDEX = ".index.json"

_NAME = re.compile(
    r"(?P<stem>.+?)(?:-g(?P<generation>[0-9]{1,6}))?-(?P<number>[0-9]{5})-of-(?P<total>[0-9]{5})"
    r"(?P<suffix>\.(?:safetensors|bin|gguf))"
)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(I?)B?", re.IGNORECASE)


class ShardName(NamedTuple):
    """What the name of a shard says: shard ``number`` of ``total``, from 1."""

    stem: str
    generation: int
    number: int
    total: int
    suffix: str

    def __str__(self) -> str:
        generation = f"-g{self.generation}" if self.generation else ""
        return f"{self.stem}{generation}-{self.number:05}-of-{self.total:05}{self.suffix}"


def shard_name(name: str) -> ShardName | None:
    """Return what the name of a shard says, or None if it is no such name.

    >>> str(shard_name("model-00002-of-00003.safetensors")._replace(generation=1))
    'model-g1-00002-of-00003.safetensors'
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    number, total = int(found["number"]), int(found["total"])
    return ShardName(found["stem"], int(found["generation"] or 0), number, total, found["suffix"])


class Index(NamedTuple):
    """What an index says: which file holds each key, and what it says of the whole."""

    weight_map: dict[str, str]
    metadata: dict[str, Any]

    def shards(self) -> list[str]:
        """Return the files it names, each once, in order."""
        return list(dict.fromkeys(self.weight_map.values()))

    def keys_of(self, shard: str) -> list[str]:
        """Return the keys that it maps to a file."""
        return [key for key, name in self.weight_map.items() if name == shard]

    def to_json(self) -> bytes:
        """Return the text of the index, as huggingface_hub lays it out."""
        parts = {"metadata": self.metadata, "weight_map": self.weight_map}
        return json.dumps(parts, indent=2, default=plain, ensure_ascii=False).encode() + b"\n"


def read_index(source: Source) -> Index:
    """Return the index in a file; FormatError unless it maps each key to one file."""
    if source.size > MAX_INDEX:
        _refuse(source, f"it has {source.size} bytes, over the limit of {MAX_INDEX}")
    try:
        parts = json.loads(source.read(0, source.size), object_pairs_hook=unique)
        weight_map, metadata = parts["weight_map"], parts.get("metadata") or {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        detail = "" if isinstance(error, RecursionError) else f" ({error})"
        _refuse(source, f"it is no index of shards: JSON with a weight_map{detail}")
    if not isinstance(weight_map, dict) or not isinstance(metadata, dict):
        _refuse(source, "its weight_map or its metadata is no map")
    for key, name in weight_map.items():
        if not isinstance(name, str):
            _refuse(source, f"it maps {key!r} to {name!r}, which is no file name")
    return Index(weight_map, metadata)


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(source.name, problem, "get it again")


def split_sizes(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Return the keys of each shard: in order, none over the limit but a single larger tensor.

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
    """Return a size in bytes, given as such or as text.

    >>> byte_count("5GB"), byte_count("2 MiB"), byte_count(10)
    (5000000000, 2097152, 10)
    """
    found = _SIZE.fullmatch(str(size).strip())
    if not found or not float(found[1]):
        raise StateDictError(f'{size!r} is no size; write it as 5000000, "5GB" or "5GiB"')
    power = " KMGT".index(found[2].upper() or " ")
    return max(1, int(float(found[1]) * (1024 if found[3] else 1000) ** power))


def free_generation(names: Iterable[str], stem: str, suffix: str) -> int:
    """Return the generation for new shards, which no file there has; 0 where there is none."""
    taken = [known.generation for known in shards_of(names, stem, suffix)]
    return max(taken, default=-1) + 1


def shards_of(names: Iterable[str], stem: str, suffix: str) -> list[ShardName]:
    """Return the names of shards that a model of that stem and suffix has, of any generation."""
    known = map(shard_name, names)
    return [name for name in known if name and (name.stem, name.suffix) == (stem, suffix)]
