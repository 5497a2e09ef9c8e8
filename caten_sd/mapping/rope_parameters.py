"""What a configuration says of rotary embeddings, wherever it says it, and as a GGUF has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.mapping.size_expressions import Find, first

_FULL, _SLIDING = "full_attention", "sliding_attention"

# The names that numbers of the table have where they stand outside of it.
_AROUND = {
    "rope_theta": ("global_rope_theta", "rope_theta", "rotary_emb_base"),
    "partial_rotary_factor": ("partial_rotary_factor", "rope_pct"),
    "original_max_position_embeddings": ("original_max_position_embeddings",),
    "local_theta": ("local_rope_theta", "rope_local_base_freq", "swa_rope_theta"),
}

# What is said of YaRN's scaling, by the key of a GGUF.
_YARN = {
    "original_context_length": ("original_max_position_embeddings",),
    "yarn_ext_factor": ("extrapolation_factor",),
    "yarn_attn_factor": ("attention_factor", "attn_factor"),
    "yarn_beta_fast": ("beta_fast",),
    "yarn_beta_slow": ("beta_slow",),
}


def rope_parameters(find: Find) -> dict[str, Any]:
    """Return the parameters of the layers that see everything, and the base of the others.

    >>> table = {"type": "linear", "factor": 2.0}
    >>> rope_parameters({"rope_theta": 1e4, "rope_scaling": table}.get)
    {'rope_theta': 10000.0, 'rope_type': 'linear', 'type': 'linear', 'factor': 2.0}
    """
    tables = (find(name) for name in ("rope_parameters", "rope_scaling"))
    table = next((dict(each) for each in tables if isinstance(each, Mapping)), {})
    kinds = {
        name: table[name] for name in (_FULL, _SLIDING) if isinstance(table.get(name), Mapping)
    }
    if kinds:
        local = kinds.get(_SLIDING, {}).get("rope_theta")
        return {**kinds.get(_FULL, {}), "local_theta": local}
    around = {name: first(find, *words) for name, words in _AROUND.items()}
    given = {**around, "rope_type": table.get("type"), **table}
    return {name: value for name, value in given.items() if value is not None}


def rope_entries(find: Find) -> dict[str, Any]:
    """Return what a GGUF says: the base of the frequencies, and how they are scaled."""
    said = rope_parameters(find)
    entries = {"freq_base": said.get("rope_theta"), "freq_base_swa": said.get("local_theta")}
    kind, factor = said.get("rope_type"), said.get("factor")
    if kind in ("linear", "yarn") and factor is not None:
        entries.update({"scaling.type": kind, "scaling.factor": factor})
    if kind in ("su", "longrope"):
        entries["scaling.type"] = "longrope"
    if kind == "yarn" and factor is not None:
        yarn = {key: first(said.get, *words) for key, words in _YARN.items()}
        entries.update((f"scaling.{key}", value) for key, value in yarn.items())
    return {f"rope.{key}": value for key, value in entries.items()}
