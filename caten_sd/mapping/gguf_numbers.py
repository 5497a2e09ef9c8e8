"""The numbers that a GGUF has for each architecture, and what configurations call them.

A GGUF names them behind its architecture, as in ``llama.block_count``. llama.cpp's converter writes
them from the same names, the first that a configuration has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.mapping.derived_numbers import EXPERTS, with_derived
from caten_sd.mapping.rope_parameters import rope_entries
from caten_sd.mapping.size_expressions import Find, first, value_of

# Those that the file of any architecture may have, wherever its configuration has them.
OF_ALL = {
    "block_count": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "context_length": (
        "max_position_embeddings",
        "n_ctx",
        "n_positions",
        "max_length",
        "max_sequence_length",
        "model_max_length",
    ),
    "embedding_length": ("hidden_size", "n_embd", "dim"),
    "feed_forward_length": ("intermediate_size", "n_inner", "hidden_dim"),
    "attention.head_count": ("num_attention_heads", "n_head", "n_heads"),
    "attention.head_count_kv": ("num_key_value_heads", "n_kv_heads", "n_kv_head"),
    "attention.key_length": ("head_dim",),
    "attention.value_length": ("head_dim",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps"),
    "attention.layer_norm_epsilon": ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
    "expert_count": EXPERTS,
    "expert_used_count": ("num_experts_per_tok", "num_experts_per_token", "top_k_experts"),
    "expert_group_count": ("n_group",),
    "expert_group_used_count": ("topk_group",),
}

# Those that only some have, for whoever reads them.
OF_SOME = {
    "attention.kv_lora_rank": ("kv_lora_rank",),
    "attention.q_lora_rank": ("q_lora_rank",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "leading_dense_block_count": ("first_k_dense_replace", "n_dense"),
    "ssm.conv_kernel": ("conv_kernel",),
    "ssm.group_count": ("n_groups",),
    "ssm.inner_size": ("d_inner",),
    "ssm.state_size": ("state_size",),
    "vocab_size": ("vocab_size",),
}

# How a configuration calls the function of a router, and its number in a GGUF.
_GATING = {"softmax": 1, "sigmoid": 2, "sqrtsoftplus": 4}
_GATING_NAMES = ("scoring_func", "score_function", "score_func", "moe_router_activation",
                 "moe_router_activation_func", "expert_selection_fn")  # fmt: skip


def described(sizes: Mapping[str, Any], architecture: str, find: Find) -> dict[str, Any]:
    """Return the entries of a GGUF's metadata that are found, by their keys.

    ``sizes`` are those of its layout. ``find`` returns what is known under a name, or None.
    """
    known = with_derived(find)
    general = {suffix: first(find, *words) for suffix, words in OF_ALL.items()}
    sections = {"rope.dimension_sections": known("mrope_sections")}
    found = {**general, "expert_gating_func": _gating(find), **rope_entries(find), **sections}
    if find("is_causal") is False:
        found["attention.causal"] = False
    of_all = {f"{architecture}.{key}": value for key, value in found.items()}
    own = {key: value_of(size, known) for key, size in sizes.items()}
    entries = [(key, _one(value)) for key, value in (*of_all.items(), *own.items())]
    return {key: value for key, value in entries if _is_plain(value)}


def _one(value: Any) -> Any:
    """Return a number that all layers have, of which configurations have a list of equal ones.

    >>> _one([8, 8]), _one([8, 4]), _one([False, False])
    (8, [8, 4], [False, False])
    """
    ints = isinstance(value, list) and all(type(each) is int for each in value)
    return value[0] if ints and len(set(value)) == 1 else value


def _is_plain(value: Any) -> bool:
    """Return whether a value may be an entry: a number, a text, or a list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    """Return whether a GGUF has a type for a value, as it has none for an int of 65 bits."""
    return isinstance(value, float) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 64)


def _gating(find: Find) -> int | None:
    word = first(find, *_GATING_NAMES)
    return _GATING.get(word) if isinstance(word, str) else None
