"""mlx-lm's own conversion of tiny models: the names and values of our layouts, or Hugging Face's.

The pairs are those of test_frozen_layouts.py; CATEN_SD_PAIRS names the folder that has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors import CatenError
from caten_sd.extend import Numpy, as_array

PAIRS = os.environ.get("CATEN_SD_PAIRS", "")
FILE = "model.safetensors"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAIRS, reason="CATEN_SD_PAIRS names no folder of pairs"),
]

# Models that mlx-lm has in another way, for which there is no layout of its own, and why.
OTHERWISE = {
    "DeepseekV32ForCausalLM": "the low-rank keys and values are divided into two turned tensors",
    "DeepseekV3ForCausalLM": "as DeepseekV32ForCausalLM",
    "DeepseekV3ForCausalLM-bias": "as DeepseekV32ForCausalLM",
    "Ernie4_5_MoeForCausalLM": "the corrections of the router are left out",
    "FalconH1ForCausalLM": "the channels of a convolution are last, under the same names",
    "FalconMambaForCausalLM": "as FalconH1ForCausalLM",
    "GPTNeoXForCausalLM": "only the prefix differs: rename=",
    "Gemma3ForConditionalGeneration": "the tower of images is left out",
    "Gemma4ForCausalLM-moe": "gate and up are divided",
    "Glm4MoeLiteForCausalLM": "as DeepseekV32ForCausalLM",
    "GlmMoeDsaForCausalLM": "as DeepseekV32ForCausalLM",
    "GraniteMoeForCausalLM": "as Gemma4ForCausalLM-moe",
    "JambaForCausalLM": "its experts have other names",
    "JambaForCausalLM-dense": "as FalconH1ForCausalLM",
    "LagunaForCausalLM": "the gate has other names, too",
    "Lfm2MoeForCausalLM": "the layers that are not of experts have other names, too",
    "LlavaForConditionalGeneration": "as Gemma3ForConditionalGeneration",
    "MambaForCausalLM": "as FalconH1ForCausalLM",
    "MiniMaxM3SparseForConditionalGeneration": "as Gemma3ForConditionalGeneration",
    "NemotronHForCausalLM": "the experts have numbers as names",
    "NemotronHForCausalLM-dense": "as NemotronHForCausalLM",
    "Qwen3NextForCausalLM": "parts are divided in another order",
    "Qwen3_5ForConditionalGeneration": "as Gemma3ForConditionalGeneration",
}
# What configurations had before transformers 5, which mlx-lm asks for.
OLD = {"topk_method": "noaux_tc", "scoring_func": "sigmoid", "moe_layer_freq": 1,
       "shared_intermediate_size": 0, "mlp_bias": False, "post_norm": False, "rope_scaling": None,
       "tie_word_embeddings": True, "use_qkv_bias": False}  # fmt: skip
SAME_AS_HUB, OF_LAYOUTS = 30, 8  # models at least


def told(folder: Path) -> dict[str, Any]:
    """Return a configuration with the entries that mlx-lm asks for."""
    config = json.loads((folder / "config.json").read_text())
    rope = config.get("rope_parameters") or {}
    rope = rope.get("full_attention", rope)
    named = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    heads = config.get("num_attention_heads") or 1
    more = {
        "num_experts": config.get("num_local_experts"),
        "head_dim": config.get("hidden_size", 64) // heads,
        "rotary_emb_base": named.get("rope_theta"),
        "rotary_pct": named.get("partial_rotary_factor"),
    }
    return {**OLD, **more, **named, **config}


def loaded() -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """Yield each pair that mlx-lm has a model for, with what the model loads of its file."""
    mx = pytest.importorskip("mlx.core", reason="mlx[cpu] has the arrays of mlx-lm")
    utils = pytest.importorskip("mlx_lm.utils", reason="mlx-lm has the models")
    tree_flatten = pytest.importorskip("mlx.utils").tree_flatten
    for folder in sorted(Path(PAIRS).iterdir()):
        if not (folder / "config.json").is_file() or not (folder / FILE).is_file():
            continue
        config = told(folder)
        try:
            model_class, arguments = utils._get_classes(config)
            model = model_class(arguments.from_dict(config))
        except (Exception, SystemExit):  # a model that mlx-lm does not have, or not so
            continue
        weights = dict(mx.load(str(folder / FILE)))
        found = model.sanitize(weights) if hasattr(model, "sanitize") else weights
        slots = {key for key, _ in tree_flatten(model.parameters())}
        if slots == found.keys():
            yield folder, {key: np.array(value) for key, value in found.items()}


def ours(folder: Path, layout: str = "") -> dict[str, np.ndarray]:
    state: Any = sd.read_state_dict(folder / FILE)
    made = sd.to_layout(state, layout, strict=True) if layout else state
    return {key: np.array(as_array(Numpy(), leaf)) for key, leaf in made.items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(array, other[key]) for key, array in one.items()
    )


def test_mlx_lm_loads_what_a_layout_gives_or_the_file_itself() -> None:
    hub, layouts, wrong = [], [], {}
    for folder, meant in loaded():
        model_type = json.loads((folder / "config.json").read_text())["model_type"]
        if same(ours(folder), meant):
            hub.append(folder.name)
            continue
        try:
            found = ours(folder, f"mlx-{model_type}")
        except CatenError as error:
            wrong[folder.name] = str(error)
            continue
        if same(found, meant):
            layouts.append(folder.name)
        else:
            wrong[folder.name] = "other names or values"
    assert wrong.keys() <= OTHERWISE.keys(), wrong
    assert len(hub) >= SAME_AS_HUB, hub
    assert len(layouts) >= OF_LAYOUTS, layouts


@pytest.mark.parametrize("bits", [4, 8])
def test_what_mlx_lm_quantizes_is_read_as_its_floats(tmp_path: Path, bits: int) -> None:
    """Weight, scales and biases of each tensor become the floats that MLX makes of them."""
    mx = pytest.importorskip("mlx.core", reason="mlx[cpu] has the arrays of mlx-lm")
    utils = pytest.importorskip("mlx_lm.utils", reason="mlx-lm quantizes the model")
    folder = Path(PAIRS) / "MixtralForCausalLM"
    config = told(folder)
    model_class, arguments = utils._get_classes(config)
    model = model_class(arguments.from_dict(config))
    weights = model.sanitize(dict(mx.load(str(folder / FILE))))
    model.load_weights(list(weights.items()))
    model, config = utils.quantize_model(model, config, 32, bits)
    utils.save_model(tmp_path, model)
    utils.save_config(config, config_path=tmp_path / "config.json")
    saved = mx.load(str(tmp_path / FILE))
    state = sd.read_state_dict(tmp_path)
    floats = sd.to_layout(sd.to_floats(state), "hf-mixtral")
    name = "model.layers.1.block_sparse_moe.experts.2.w3.weight"
    part = "model.layers.1.block_sparse_moe.switch_mlp.up_proj"
    given = [saved[f"{part}.{each}"][2] for each in ("weight", "scales", "biases")]
    meant = mx.dequantize(*given, group_size=32, bits=bits)
    assert np.array_equal(np.array(as_array(Numpy(), floats[name])), np.array(meant))
