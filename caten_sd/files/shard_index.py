"""The index of a sharded model: a JSON file that maps each key to the shard that holds it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.json_hooks import plain, unique
from caten_sd.state.json_text import parse_json
from caten_sd.state.source import Source

MAX_INDEX = 256 << 20  # bytes
INDEX = ".index.json"


class Index(NamedTuple):
    """Which shard holds each key, and the metadata of the whole model."""

    weight_map: dict[str, str]
    metadata: dict[str, Any]

    def shards(self) -> list[str]:
        """Return the shards, each once, in order."""
        return list(dict.fromkeys(self.weight_map.values()))

    def to_json(self) -> bytes:
        """Return the index as JSON, laid out as huggingface_hub does."""
        members = {"metadata": self.metadata, "weight_map": self.weight_map}
        return json.dumps(members, indent=2, default=plain, ensure_ascii=False).encode() + b"\n"


def read_index(source: Source) -> Index:
    """Return the index in a file; FormatError unless it maps each key to one file."""
    if source.size > MAX_INDEX:
        _refuse(source, f"it has {source.size} bytes, over the limit of {MAX_INDEX}")
    try:
        members = parse_json(source.name, source.read(0, source.size), unique)
        weight_map, metadata = members["weight_map"], members.get("metadata") or {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        detail = "" if isinstance(error, RecursionError) else f" ({error})"
        _refuse(source, f"it is not an index of shards, JSON with a weight_map{detail}")
    if not isinstance(weight_map, dict) or not isinstance(metadata, dict):
        _refuse(source, "its weight_map or its metadata is not a JSON object")
    for key, name in weight_map.items():
        if not isinstance(name, str):
            _refuse(source, f"it maps {key!r} to {name!r}, which is not a file name")
    return Index(weight_map, metadata)


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(source.name, problem, "get it again")
