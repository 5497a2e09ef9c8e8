"""Rotary embeddings are described in a table, outside of it, or in one for each kind of layer."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.mapping.rope_parameters import rope_entries, rope_parameters

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32}
LAYERS = {"full_attention": {"rope_theta": 5e6}, "sliding_attention": {"rope_theta": 1e4}}


@pytest.mark.parametrize(
    ("config", "entries"),
    [
        ({}, {}),
        ({"rope_theta": 1e4}, {"freq_base": 1e4}),
        ({"rotary_emb_base": 1e4, "rope_scaling": None}, {"freq_base": 1e4}),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, {"freq_base": 5e5}),
        (
            {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2}},
            {"freq_base": 1e4, "scaling.type": "linear", "scaling.factor": 2},
        ),
        (
            {"rope_scaling": YARN},
            {
                "scaling.type": "yarn",
                "scaling.factor": 4.0,
                "scaling.original_context_length": 64,
                "scaling.yarn_beta_fast": 32,
            },
        ),
        ({"rope_scaling": {"type": "su"}}, {"scaling.type": "longrope"}),
        ({"rope_parameters": LAYERS}, {"freq_base": 5e6, "freq_base_swa": 1e4}),
        ({"rope_parameters": {**LAYERS, "sliding_attention": "none"}}, {"freq_base": 5e6}),
        ({"rope_parameters": {**LAYERS, "full_attention": [1]}}, {"freq_base_swa": 1e4}),
        (
            {"rope_theta": 1e6, "rope_local_base_freq": 1e4},
            {"freq_base": 1e6, "freq_base_swa": 1e4},
        ),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, {}),
    ],
)
def test_what_a_gguf_says(config: dict[str, Any], entries: dict[str, Any]) -> None:
    found = {key: value for key, value in rope_entries(config.get).items() if value is not None}
    assert found == {f"rope.{key}": value for key, value in entries.items()}


def test_the_table_counts_before_what_stands_around_it() -> None:
    config = {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}, "rope_pct": 0.25}
    assert rope_parameters(config.get) == {"rope_theta": 5e5, "partial_rotary_factor": 0.25}
