"""The tensors that llama.cpp divides rotary frequencies by, which a configuration computes.

Llama 3.1 stretches long waves only, Phi-3 and MiniCPM each frequency by a factor of its own. Such
factors are tensors of a GGUF, and no others of a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

FREQUENCIES = "rope_freqs.weight"
LONG, SHORT = "rope_factors_long.weight", "rope_factors_short.weight"


def rotary_factors(
    architecture: str, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the factors that the configuration of a model asks for, by their names in a GGUF."""
    table = config.get("rope_parameters") or config.get("rope_scaling")
    if not isinstance(table, Mapping):
        return {}
    kind = str(table.get("rope_type") or table.get("type")).lower()
    if kind == "llama3":
        size = metadata.get(f"{architecture}.rope.dimension_count")
        base = metadata.get(f"{architecture}.rope.freq_base", 10000.0)
        if not isinstance(size, int) or not isinstance(base, (int, float)):
            return {}
        return {FREQUENCIES: _llama3(size, base, table)}
    lists = {LONG: table.get("long_factor"), SHORT: table.get("short_factor")}
    given = {name: value for name, value in lists.items() if isinstance(value, list)}
    return {name: np.array(value, "f4") for name, value in given.items()}


def _llama3(size: int, base: float, table: Mapping[str, Any]) -> np.ndarray:
    """Return 1 for short waves, the factor for long ones, and between them what joins both."""
    names = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 8192}  # fmt: skip
    factor, low, high, length = (float(table.get(name, value)) for name, value in names.items())
    waves = 2 * math.pi * np.power(base, np.arange(0, size, 2, dtype="f4") / size, dtype="f4")
    smooth = (length / waves - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    found = np.where(waves < length / high, 1, np.where(waves > length / low, factor, between))
    return np.asarray(found, "f4")
