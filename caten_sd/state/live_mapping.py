"""Models that are mappings too: their items are not their state."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any

from caten_sd.state.leaf import spec_or_none


class LiveMapping(ABC):  # noqa: B024 (adapters register the classes)
    """A model that is a mapping, as MLX's modules are dicts."""


def is_live_mapping(obj: Any) -> bool:
    """Return whether an object is a model and a mapping; the adapter of its class is imported.

    >>> is_live_mapping({"w": 1})
    False
    """
    if type(obj) is dict or not isinstance(obj, Mapping):
        return False
    spec_or_none(obj)
    return isinstance(obj, LiveMapping)
