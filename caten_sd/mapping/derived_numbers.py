"""Numbers that no configuration has in so many words, and that follow from others which it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

from caten_sd.mapping.rope_parameters import rope_parameters
from caten_sd.mapping.size_expressions import Find, first

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_FULL, _RECURRENT = "full_attention", "linear_attention"
_MOST_LAYERS = 1 << 16  # of which a list is made, whatever a configuration says

# The kinds of layers, as older configurations and Nemotron's letters call them.
_KINDS = {"attention": _FULL, "mamba": _RECURRENT}
_LETTERS = {"M": _RECURRENT, "*": _FULL, "-": "mlp", "E": "moe"}


def with_derived(find: Find) -> Find:
    """Return a look-up that also knows the numbers that follow from others.

    >>> with_derived({"hidden_size": 64, "num_attention_heads": 4}.get)("head_dim")
    16
    """

    def known(name: str) -> Any:
        found = find(name)
        if name == "layer_types" and isinstance(found, list):
            return [_KINDS.get(str(each), each) for each in found]
        return _DERIVED[name](known, find) if found is None and name in _DERIVED else found

    return known


def _head_dim(known: Find, find: Find) -> int | None:
    width, heads = (
        first(find, "hidden_size", "n_embd"),
        first(find, "num_attention_heads", "n_head"),
    )
    return width // heads if isinstance(width, int) and isinstance(heads, int) and heads else None


def _rotary_dim(known: Find, find: Find) -> int | None:
    size, share = known("head_dim"), rope_parameters(find).get("partial_rotary_factor")
    if not isinstance(size, int) or not isinstance(share, (int, float, type(None))):
        return None
    try:
        return size if share is None else int(size * share)
    except (OverflowError, ValueError):  # Python's JSON has NaN, infinity and any whole number
        return None


def _sections(known: Find, find: Find) -> list[int] | None:
    sections = rope_parameters(find).get("mrope_section")
    return [*sections, 0, 0, 0, 0][:4] if isinstance(sections, list) else None


def _layer_types(known: Find, find: Find) -> list[str] | None:
    """Return the kind of each layer: a list, letters, a period, or the indices of attention."""
    kinds, letters = find("layers_block_type"), find("hybrid_override_pattern")
    if isinstance(kinds, list):
        return [_KINDS.get(str(each), str(each)) for each in kinds]
    if isinstance(letters, str):
        return [_LETTERS.get(letter, letter) for letter in letters]
    count, indices = find("num_hidden_layers"), find("attn_layer_indices")
    period, offset = find("attn_layer_period"), find("attn_layer_offset")
    if not isinstance(count, int) or count > _MOST_LAYERS:
        return None
    if isinstance(period, int) and isinstance(offset, int) and period > 0:
        indices = range(offset, count, period)
    if not isinstance(indices, (list, range)):
        return None
    return [_FULL if layer in indices else _RECURRENT for layer in range(count)]


def _layers(known: Find, find: Find) -> int | None:
    kinds = first(find, "layers_block_type", "hybrid_override_pattern")
    return len(kinds) if isinstance(kinds, (list, str)) else None


def _attention_only(known: Find, find: Find) -> bool | None:
    kinds = known("layer_types")
    return all(kind == _FULL for kind in kinds) if isinstance(kinds, list) else None


def _leading_dense(known: Find, find: Find) -> Any:
    """Return how many layers come before the first with experts: all, where there are none."""
    kinds, count = find("mlp_layer_types"), find("first_k_dense_replace")
    if isinstance(kinds, list):
        return next((n for n, kind in enumerate(kinds) if kind != "dense"), len(kinds))
    if count is None:
        return 0 if first(find, *EXPERTS) else known("num_hidden_layers")
    return count


def _global_head_dim(known: Find, find: Find) -> Any:
    """Return the head size of the layers that see everything, which may be said of one of them."""
    layers, kinds = find("per_layer_config"), find("layer_types")
    if not isinstance(layers, Mapping) or not isinstance(kinds, list):
        return None
    own = [layers.get(str(n)) for n, kind in enumerate(kinds) if kind == _FULL]
    return next(
        (each["head_dim"] for each in own if isinstance(each, Mapping) and "head_dim" in each), None
    )


def _positions(known: Find, find: Find) -> int | None:
    """Return the positions of a RoBERTa, whose table begins behind that of its padding."""
    count, padding = find("max_position_embeddings"), find("pad_token_id")
    both = isinstance(count, int) and isinstance(padding, int)
    return count - padding - 1 if both else None


def _deepstack(known: Find, find: Find) -> int | None:
    vision = find("vision_config")
    layers = vision.get("deepstack_visual_indexes") if isinstance(vision, Mapping) else None
    return len(layers) if isinstance(layers, list) else None


def _sparsity(known: Find, find: Find) -> list[float] | None:
    """Return how many standard deviations leave out each share of Gemma 3n's activations."""
    shares = find("activation_sparsity_pattern")
    if not isinstance(shares, list) or not all(isinstance(each, float) for each in shares):
        return None
    return [NormalDist().inv_cdf(each) if 0 < each < 1 else -math.inf for each in shares]


_DERIVED: dict[str, Callable[[Find, Find], Any]] = {
    "activation_sparsity_scale": _sparsity,
    "attention_only": _attention_only,
    "deepstack_layers": _deepstack,
    "global_head_dim": _global_head_dim,
    "head_dim": _head_dim,
    "layer_types": _layer_types,
    "leading_dense_layers": _leading_dense,
    "moe_intermediate_size": lambda known, find: find("intermediate_size"),
    "mrope_sections": _sections,
    "num_hidden_layers": _layers,
    "positions": _positions,
    "rope_theta": lambda known, find: rope_parameters(find).get("rope_theta"),
    "rotary_dim": _rotary_dim,
}
