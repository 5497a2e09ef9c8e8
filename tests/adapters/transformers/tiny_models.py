"""Tiny models of transformers with random weights, of every class that can be made tiny."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto

MOST = 4_000_000  # parameters
SIZES = {
    "pad_token_id": 0,
    "audio_channels bos_token_id n_group n_groups n_shared_experts topk_group": 1,
    "mamba_n_groups first_k_dense_replace": 1,
    "decoder_layers depth encoder_layers eos_token_id mamba_expand moe_topk n_layer n_layers": 2,
    "num_codebooks num_decoder_layers num_experts_per_tok num_hidden_layers": 2,
    "linear_num_key_heads num_key_value_heads num_layers": 2,
    "decoder_attention_heads encoder_attention_heads linear_num_value_heads n_head n_heads": 4,
    "moe_num_experts n_routed_experts num_attention_heads num_experts num_heads": 4,
    "num_local_experts": 4,
    "d_head d_kv head_dim linear_key_head_dim linear_value_head_dim mamba_d_head": 8,
    "mamba_d_state mamba_n_heads num_queries patch_size qk_nope_head_dim qk_rope_head_dim": 8,
    "state_size v_head_dim": 8,
    "kv_lora_rank lstm_dim num_mel_bins q_lora_rank qk_head_dim": 16,
    "moe_intermediate_size shared_expert_intermediate_size": 24,
    "codebook_size d_model dim embed_dim embedding_size encoder_hidden_dim hidden_dim": 32,
    "hidden_size image_size max_source_positions max_target_positions n_embd": 32,
    "out_hidden_size projection_dim text_embed_dim": 32,
    "d_ff d_inner decoder_ffn_dim encoder_ffn_dim ffn_dim ffn_hidden_size": 48,
    "intermediate_size mlp_dim": 48,
    "max_position_embeddings n_positions": 64,
    "vocab_size": 96,
}
SMALL = {name: size for names, size in SIZES.items() for name in names.split()}


def shrunk(config: Any, depth: int = 0) -> Any:
    """Return the configuration with small numbers, those of its parts too."""
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig) and depth < 4:
            shrunk(value, depth + 1)
        elif type(value) is int and value > SMALL.get(name, value):
            setattr(config, name, SMALL[name])
    layers = getattr(config, "num_hidden_layers", None)
    for name in ("layer_types", "mlp_layer_types"):
        kinds = getattr(config, name, None)
        if isinstance(kinds, list) and isinstance(layers, int):
            some = list(dict.fromkeys(kinds))
            setattr(config, name, [some[n % len(some)] for n in range(layers)])
    if getattr(config, "_out_features", None) and isinstance(layers, int):
        config.stage_names = ["stem", *(f"stage{n + 1}" for n in range(layers))]
        config._out_features, config._out_indices = [f"stage{layers}"], [layers]
    rope = getattr(config, "rope_parameters", None)
    if isinstance(rope, dict) and "mrope_section" in rope:
        rope["mrope_section"] = [2, 1, 1]
    return config


def every_class() -> dict[str, str]:
    """Return the model type of each class that the auto classes of transformers know."""
    found: dict[str, str] = {}
    for mapping in (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
        modeling_auto.MODEL_MAPPING_NAMES,
    ):
        for model_type, name in mapping.items():
            found.setdefault(name if isinstance(name, str) else name[0], model_type)
    return found


def empty_model(name: str, model_type: str) -> PreTrainedModel:
    """Return a tiny model of a class on the meta device."""
    cls = getattr(transformers, name)
    config = shrunk(CONFIG_MAPPING[model_type]())
    config.dtype = torch.float32
    with torch.device("meta"):
        return cls(config)


def tiny_model(name: str, model_type: str, seed: int = 0) -> PreTrainedModel:
    """Return a tiny model of a class, with random values in all of its parameters."""
    empty = empty_model(name, model_type)
    if sum(each.numel() for each in empty.parameters()) > MOST:
        raise MemoryError(f"{name} is not tiny")
    model = type(empty)(empty.config).eval()
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in model.parameters():
            each.copy_(torch.randn(each.shape, generator=numbers))
    return model
