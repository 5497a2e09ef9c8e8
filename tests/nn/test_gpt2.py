from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config

from caten_sd.errors import ModelError
from caten_sd.nn import gpt2_from_config

SMALL = {"n_embd": 8, "n_head": 2, "n_layer": 3, "vocab_size": 11, "n_positions": 4}


def test_the_sizes_are_the_configs() -> None:
    model = gpt2_from_config({**SMALL, "layer_norm_epsilon": 1e-3})
    assert (model.vocab_size, model.max_seq_len, len(model.h)) == (11, 4, 3)
    assert (model.h[0].attn.n_heads, model.h[0].attn.head_dim, model.ln_f.eps) == (2, 4, 1e-3)


def test_the_config_of_transformers() -> None:
    with torch.device("meta"):
        model = gpt2_from_config(GPT2Config().to_dict())
    assert sum(p.numel() for p in model.parameters()) == 124_439_808 + 50257 * 768


def test_an_old_config_names_its_positions_n_ctx() -> None:
    config = {**SMALL, "n_ctx": 5}
    del config["n_positions"]
    assert gpt2_from_config(config).max_seq_len == 5


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"n_embd": None}, "n_embd is missing"),
        ({"n_head": 3}, "3 heads do not divide dim 8"),
        ({"n_head": 0}, "n_heads must be a positive integer, not 0"),
        ({"n_embd": -8}, "dim must be a positive integer, not -8"),
        ({"n_embd": "8"}, "dim must be a positive integer, not '8'"),
        ({"n_layer": 10**9}, "n_layer is 1000000000.*10000"),
        ({"n_embd": 2**62}, f"width {2**62}.*memory"),
        ({"vocab_size": 10**30}, f"vocabulary of {10**30}.*memory"),
        ({"n_inner": 30}, "n_inner is 30.* 32"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon must be a positive number"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon must be a positive number"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    ],
)
def test_a_config_that_transformer_does_not_support_is_refused(change, facts: str) -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=facts):
        gpt2_from_config({**SMALL, **change})


def test_a_config_is_an_object() -> None:
    with pytest.raises(ModelError, match="not a list"):
        gpt2_from_config([1])
