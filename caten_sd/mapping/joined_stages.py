"""The tensors of pipeline stages, each of which has some layers of a model and counts from 0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.state.compare import same_bytes
from caten_sd.state.leaf import spec_or_none

_LAYER = re.compile(r"(?P<before>(?:.*\.)?layers\.)(?P<number>0|[1-9][0-9]{0,8})(?P<after>\..*)")


def joined_stages(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tensors of all stages, with the layers of each counted on from those before.

    What two stages have, such as tied embeddings, must be equal; LayoutError if it is not.
    """
    found: dict[str, Any] = {}
    first = 0
    for number, leaves in enumerate(stages):
        named = {_counted_on(key, first): leaf for key, leaf in leaves.items()}
        for key, leaf in named.items():
            if key in found and spec_or_none(leaf) and not same_bytes(found[key], leaf):
                raise LayoutError(f"{key} of stage {number} differs from that of a stage before it")
            found.setdefault(key, leaf)
        first += _layers(leaves)
    return found


def _counted_on(key: str, first: int) -> str:
    match = _LAYER.fullmatch(key)
    if match is None:
        return key
    return f"{match['before']}{int(match['number']) + first}{match['after']}"


def _layers(leaves: Mapping[str, Any]) -> int:
    """Return how many layers a stage has; LayoutError if one between them is missing."""
    numbers = {int(match["number"]) for match in map(_LAYER.fullmatch, leaves) if match}
    if numbers != set(range(len(numbers))):
        raise LayoutError(
            f"its layers are {sorted(numbers)[:4]} and not counted from 0, as those of a stage are"
        )
    return len(numbers)
