"""A pair of files of one model, and what its configuration calls the numbers of the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd import read_state_dict
from caten_sd.extend import Numpy, as_array
from tests.oracles.row_templates import FoundRow

LAYERS = ("num_layers_per_stack", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
HEADS = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads")
DERIVED = ("qk_head_dim", "index_n_heads")
SIZES = {
    "block_count": LAYERS,
    "context_length": ("max_position_embeddings", "n_positions", "seq_length"),
    "embedding_length": ("hidden_size", "n_embd", "d_model"),
    "feed_forward_length": ("intermediate_size", "n_inner", "d_ff", "ffn_hidden_size"),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "attention.head_count": ("num_attention_heads", "n_head", "num_heads"),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads"),
    "attention.key_length": ("head_dim", "d_kv"),
    "attention.kv_lora_rank": ("kv_lora_rank",),
    "attention.q_lora_rank": ("q_lora_rank",),
    "decoder_block_count": ("num_decoder_layers",),
    "expert_count": EXPERTS,
    "expert_used_count": ("num_experts_per_tok",),
    "hrm.layers_per_stack": ("num_layers_per_stack",),
    "ssm.conv_kernel": ("conv_kernel", "mamba_d_conv", "linear_conv_kernel_dim"),
    "ssm.group_count": ("n_groups", "mamba_n_groups", "linear_num_key_heads"),
    "ssm.inner_size": ("mamba_d_ssm", "mamba_intermediate_size"),
    "ssm.state_size": ("state_size", "mamba_d_state", "ssm_state_size", "linear_key_head_dim"),
    "ssm.time_step_rank": ("num_heads", "mamba_n_heads", "linear_num_value_heads"),
    "vocab_size": ("vocab_size",),
}
# Names of matrices whose axes are numbers of the model, and never a coincidence.
SIZED = re.compile(
    r"(embed\w*|wte|gate_proj|up_proj|down_proj|c_fc|mlp\.c_proj|fc1|fc2|wi|wo|lm_head)\.weight$"
)
NAMES_OF_SIZES = (
    "vocab_size",
    "hidden_size",
    "n_embd",
    "d_model",
    "intermediate_size",
    "d_ff",
    "n_inner",
)


@dataclass
class Pair:
    """Two files of the same weights, and the numbers of the model."""

    name: str
    config: Mapping[str, Any]
    canonical: dict[str, np.ndarray]
    here: dict[str, np.ndarray]
    metadata: Mapping[str, Any]

    @property
    def model_type(self) -> str:
        """What config.json calls the architecture."""
        return str(self.config["model_type"])

    @property
    def numbers(self) -> dict[str, int]:
        """The whole numbers of the configuration, those of a part of it last."""
        parts = [self.config, self.config.get("text_config") or {}]
        flat = {key: value for part in reversed(parts) for key, value in part.items()}
        return {key: value for key, value in flat.items() if type(value) is int}

    @property
    def names(self) -> dict[str, int]:
        """The numbers without those that follow from others, by which operations are named."""
        numbers = dict(self.numbers)
        heads = next((numbers[name] for name in HEADS if name in numbers), 0)
        return {
            name: number
            for name, number in numbers.items()
            if name not in DERIVED and not (name in KV_HEADS and number == heads)
        }


def read_pair(folder: Path) -> Pair:
    """Return the pair of a folder."""
    canonical, here = (
        read_state_dict(folder / name) for name in ("model.safetensors", "model.gguf")
    )
    config = json.loads((folder / "config.json").read_text())
    arrays = [
        {key: np.asarray(as_array(Numpy(), leaf)) for key, leaf in side.items()}
        for side in (canonical, here)
    ]
    return Pair(folder.name, config, *arrays, dict(here.metadata))


def sizes_in(pair: Pair, said: str) -> dict[str, str]:
    """Return what the configuration calls the numbers of a GGUF that is called so."""
    found = {}
    for key, names in SIZES.items():
        value = pair.metadata.get(f"{said}.{key}")
        name = next((name for name in names if pair.numbers.get(name) == value), None)
        if value is not None and name:
            found[key] = name
    return found


def counts_in(pair: Pair, rows: Iterable[FoundRow]) -> dict[str, str]:
    """Return what counts each index; a configuration may have the layers as a list of kinds."""
    text = " ".join(name for row in rows for name in row.canonical)
    wanted = {"{i}": LAYERS, "{e}": EXPERTS, "{j}": ("num_decoder_layers",)}
    found = {
        letter[1]: next((name for name in names if name in pair.numbers), "")
        for letter, names in wanted.items()
        if letter in text
    }
    counts = {letter: name for letter, name in found.items() if name}
    return {"i": "num_hidden_layers", **counts} if "i" in found else counts


def shapes_in(pair: Pair, rows: Iterable[FoundRow]) -> dict[str, tuple[str, ...]]:
    """Return the axes of matrices, as the configuration calls them, by canonical name."""
    values: dict[int, str] = {}
    for name in NAMES_OF_SIZES:
        if name in pair.numbers:
            values.setdefault(pair.numbers[name], name)
    found = {}
    for row in rows:
        name, key = row.canonical[0], row.seen[0]
        shape = pair.canonical[key].shape
        axes = tuple(values.get(axis, "") for axis in shape)
        if len(row.canonical) == 1 and SIZED.search(name) and len(set(axes)) == 2 and all(axes):
            found[name] = axes
    return found
