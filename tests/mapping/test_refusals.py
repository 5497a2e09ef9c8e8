"""A layout that a file contradicts is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import caten_sd as sd
from caten_sd.errors import LayoutError
from caten_sd.layout import Layout, Row, extend, find_layout
from caten_sd.mapping.layout_plan import to_layout
from tests.mapping.test_detection import caten

HF = {
    key: leaf.numpy() if hasattr(leaf, "numpy") else leaf
    for key, leaf in to_layout(caten(), "hf-gpt2", from_layout="caten-gpt2").items()
    if key != "lm_head.weight"
}
LLAMA: dict[str, Any] = {
    "model.embed_tokens.weight": np.zeros((11, 4), "f4"),
    **{
        f"model.layers.{i}.mlp.{p}_proj.weight": np.zeros((16, 4), "f4")
        for i in (0, 1)
        for p in ("gate", "up")
    },
    "model.norm.weight": np.zeros(4, "f4"),
    "lm_head.weight": np.zeros((11, 4), "f4"),
}


def convert(folder: Path, tensors: dict[str, Any], config: Any, **options: Any) -> Path:
    """Convert a folder of these tensors, and return the file that is written."""
    save_file(tensors, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    target = folder / "out.safetensors"
    try:
        sd.convert(folder, target, **options)
    except LayoutError:
        assert not target.exists()
        raise
    return target


@pytest.mark.parametrize(
    ("tensors", "config", "facts"),
    [
        (
            LLAMA,
            {"model_type": "llama"},
            ["model_type", "'llama'", "hf-gpt2", "gpt2", "model.embed_tokens.weight [11, 4]",
             "wte.weight", "(vocab_size, n_embd)", "from_layout= or --from", "model_types"],
        ),
        (LLAMA, None, ["hf-gpt2 takes 1 of 7 keys", "embed_tokens.weight [11, 4]", "wte.weight",
                       "(vocab_size, n_embd)", "from_layout= or --from"]),
        (HF, {"model_type": "llama"}, ["model_type", "'llama'", "hf-gpt2", "model_types"]),
        (HF, {"architectures": ["LlamaForCausalLM"]}, ["'LlamaForCausalLM'", "hf-gpt2"]),
        (
            {**HF, "transformer.h.1.ln_1.weight": np.zeros(9, "f4")},
            None,
            ["transformer.h.1.ln_1.weight", "(9,)", "h.1.ln_1.affine", "(n_embd,)", "(4,)"],
        ),
        (
            {**HF, "transformer.h.0.attn.c_attn.weight": np.zeros((4, 3, 4), "f4")},
            {"model_type": "gpt2"},
            ["h.0.attn.c_attn.weight", "(4, 3, 4)", "(3*n_embd, n_embd)", "(12, 4)"],
        ),
    ],
)  # fmt: skip
def test_a_layout_that_is_named_and_contradicted_is_one_sentence(
    tensors: dict[str, Any], config: Any, facts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(LayoutError) as caught:
        convert(tmp_path, tensors, config, layout="caten-gpt2", from_layout="hf-gpt2")
    assert "\n" not in str(caught.value)
    assert [fact for fact in facts if fact not in str(caught.value)] == []


def test_a_gguf_says_its_architecture() -> None:
    state = sd.StateDict(LLAMA, metadata={"general.architecture": "llama"})
    with pytest.raises(LayoutError, match=r"general\.architecture is 'llama', and from_layout="):
        to_layout(state, "caten-gpt2", from_layout="gguf-gpt2")


@pytest.mark.parametrize(
    "layout",
    [
        lambda: extend(
            find_layout("hf-gpt2"), "hf-mine", model_types=["llama"],
            architecture="gpt2", base=find_layout("caten-gpt2"),
        ),
        lambda: Layout("mine", [Row(key, key) for key in HF]),  # of no architecture
        lambda: Layout("other", [Row(f"my.{key}", key) for key in HF]),
    ],
)  # fmt: skip
def test_a_layout_of_ones_own_may_be_of_what_the_file_says(
    layout: Callable[[], Layout], tmp_path: Path
) -> None:
    own = layout()
    target = own.canonical.name if own.name == "hf-mine" else own
    written = convert(tmp_path, HF, {"model_type": "llama"}, layout=target, from_layout=own)
    assert written.exists()


def test_a_few_keys_without_a_row_stay_as_they_are(tmp_path: Path) -> None:
    more = {**HF, "score.weight": np.zeros((2, 4), "f4")}
    written = convert(tmp_path, more, None, layout="caten-gpt2", from_layout="hf-gpt2")
    assert "score.weight" in sd.read_state_dict(written)
