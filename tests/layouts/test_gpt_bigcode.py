"""GPTBigCode has the names of GPT-2, and matrices the other way round: what a file says tells."""

from typing import Any

import pytest
import torch
import transformers

from caten_sd import detect_layout, to_layout
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import StateDict

SIZES: dict[str, Any] = {"vocab_size": 20, "n_positions": 12, "n_embd": 16, "n_layer": 2,
                         "n_head": 4}  # fmt: skip


def tensors(model: Any) -> dict[str, Any]:
    return {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}


@pytest.mark.parametrize("multi_query", [True, False])
def test_a_model_goes_to_gguf_and_back(multi_query: bool) -> None:
    config = transformers.GPTBigCodeConfig(**SIZES, multi_query=multi_query)
    model = transformers.GPTBigCodeForCausalLM(config)
    state = StateDict(tensors(model), config={"model_type": "gpt_bigcode"})
    found = detect_layout(state).layout
    assert found is not None
    assert found.name == "hf-gpt_bigcode"
    there = to_layout(state, "gguf-starcoder", strict=True)
    said = StateDict(dict(there), metadata={"general.architecture": "starcoder"})
    back = to_layout(said, "hf-gpt_bigcode", prefix="transformer.", strict=True)
    for key, wanted in tensors(model).items():
        assert torch.equal(as_array(Torch(), back[key]), wanted)


@pytest.mark.parametrize("config", [{"model_type": "gpt2"}, None])
def test_gpt2_is_not_taken_for_it(config: Any) -> None:
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZES))
    found = detect_layout(StateDict(tensors(model), config=config)).layout
    assert found is not None
    assert found.name == "hf-gpt2"
