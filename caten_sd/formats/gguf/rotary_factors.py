"""The tensors that llama.cpp divides rotary frequencies by, which a configuration computes.

Llama 3.1 stretches long waves only, Phi-3 and MiniCPM each frequency by a factor of its own. Such
factors are tensors of a GGUF, and no others of a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FREQUENCIES = "rope_freqs.weight"
_MOST = 1 << 16  # elements of a head; known ones have a hundredth of it
_LARGEST = 3.4e38
_NEVER = 1e30  # as llama.cpp's converter has it
_PARTIAL = "partial_rotary_factor"
_DEFAULTS = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LONG, SHORT = "rope_factors_long.weight", "rope_factors_short.weight"


def rotary_factors(
    architecture: str, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the factors that the configuration of a model asks for, by their names in a GGUF."""
    import numpy as np  # which most models do without here

    lists = _lists(architecture, config, metadata)
    return {name: np.array(value, "f4") for name, value in lists.items()}


def _lists(
    architecture: str, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, list[float]]:
    table = config.get("rope_parameters") or config.get("rope_scaling")
    if not isinstance(table, Mapping):
        return {}
    kind = str(table.get("rope_type") or table.get("type")).lower()
    if kind == "llama3":
        size = metadata.get(f"{architecture}.rope.dimension_count")
        base = metadata.get(f"{architecture}.rope.freq_base", 10000.0)
        if (
            not isinstance(size, int)
            or size > _MOST
            or not _are_numbers([base, *_numbers_of(table)])
        ):
            return {}
        return {FREQUENCIES: _llama3(size, base, *_numbers_of(table))}
    if (full := _partial(architecture, table, metadata)) is not None:
        return {FREQUENCIES: full}
    lists = {LONG: table.get("long_factor"), SHORT: table.get("short_factor")}
    return {name: list(value) for name, value in lists.items() if value and _are_numbers(value)}


def _partial(
    architecture: str, table: Mapping[str, Any], metadata: Mapping[str, Any]
) -> list[float] | None:
    """Return 1 for the turned frequencies of Gemma 4's full attention, and infinity for others."""
    full = table.get("full_attention")
    if not isinstance(full, Mapping) or full.get("rope_type") != "proportional":
        return None
    size, share = metadata.get(f"{architecture}.rope.dimension_count"), full.get(_PARTIAL)
    if not isinstance(size, int) or size > _MOST:
        return None
    if not isinstance(share, float) or not 0 < share <= 1:
        return None
    turned = int(size * share / 2)
    return [1.0] * turned + [_NEVER] * (size // 2 - turned)


def _are_numbers(values: Any) -> bool:
    """Return whether a value is a list of numbers above 0 that a float32 holds."""
    numbers = isinstance(values, list) and all(isinstance(each, (int, float)) for each in values)
    return numbers and all(0 < each < _LARGEST for each in values)


def _numbers_of(table: Mapping[str, Any]) -> list[Any]:
    """Return the factor, those of the longest and the shortest waves, and the first length."""
    return [table.get(name, default) for name, default in _DEFAULTS.items()]


def _llama3(
    size: int, base: float, factor: float, low: float, high: float, length: float
) -> list[float]:
    """Return 1 for short waves, the factor for long ones, and between them what joins both."""
    found = []
    for at in range(0, size, 2):
        wave = 2 * math.pi * base ** (at / size)
        if wave < length / high or low == high:
            found.append(1.0 if wave < length / high else factor)
            continue
        smooth = (length / wave - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        found.append(factor if wave > length / low else between)
    return found
