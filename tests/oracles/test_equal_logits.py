"""Models of transformers through our GGUF and back: what they compute is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caten_sd import StateDict, detect_layout, read_state_dict, to_layout, write_state_dict
from caten_sd.layout import Layout
from caten_sd.mapping.known import built_in_layouts

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch", reason="it computes")
transformers = pytest.importorskip("transformers", reason="its classes make the models")

# Models for causal language modeling; behind a "-" is one with other biases, norms or heads.
CAUSAL = """
    Llama Llama-bias Mistral Qwen2 Qwen3 Qwen3-bias SmolLM3 SmolLM3-bias Granite Granite-bias
    Olmo Olmo-bias Olmo2 Olmo2-bias Cohere Cohere-bias Cohere-qknorm Starcoder2 Starcoder2-nobias
    StableLm StableLm-bias Phi Phi3 Gemma Gemma-bias Gemma2 Gemma3 Mixtral Qwen2Moe Qwen2Moe-nobias
    Qwen3Moe Qwen3Moe-bias DeepseekV2 GptOss GPTNeoX GPTNeoX-nobias
    Bloom Falcon Falcon-7b Mamba Mamba2 GPTBigCode HrmText
"""
OTHERS = ["GPT2LMHeadModel", "BertModel", "RobertaModel", "DistilBertModel",
          "T5ForConditionalGeneration", "T5ForConditionalGeneration-gated"]  # fmt: skip
WORDS = [word.partition("-") for word in CAUSAL.split()]
NAMES = [*(f"{word}ForCausalLM{dash}{rest}" for word, dash, rest in WORDS), *OTHERS]
TOLERANCE = 1e-5  # of logits, where -exp(x) is taken and undone
LOST = {"pooler.dense.weight", "pooler.dense.bias"}  # a GGUF keeps no pooler


def gguf_layouts(hf: Layout) -> list[str]:
    """Return the layouts of GGUF files of a layout's models."""
    return [
        name
        for name, layout in built_in_layouts().items()
        if name.startswith("gguf-") and layout.canonical is hf.canonical
    ]


def output(model: Any) -> Any:
    """Return the logits, or the hidden states of a model without a head."""
    ids = torch.tensor([[5, 3, 7, 11, 2]])
    decoder = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found = model(input_ids=ids, **decoder)
    return found.logits if "logits" in found else found.last_hidden_state


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_was_our_gguf_computes_the_same(name: str, tmp_path: Path) -> None:
    from tests.oracles.tiny_models import tiny_model

    model = tiny_model(name)
    model.save_pretrained(tmp_path / "hf")
    given = read_state_dict(tmp_path / "hf")
    wanted = output(type(model).from_pretrained(tmp_path / "hf").eval())
    hf = detect_layout(given).layout
    assert hf is not None
    prefix = hf.prefix_in(list(given))
    targets = gguf_layouts(hf)
    assert targets
    for target in targets:
        write_state_dict(to_layout(given, target), tmp_path / "model.gguf")
        with read_state_dict(tmp_path / "model.gguf") as state:
            back = to_layout(state, hf, from_layout=target, prefix=prefix, config=given.config)
            again = tmp_path / target
            again.mkdir()
            write_state_dict(StateDict(dict(back)), again / "model.safetensors")
        model.config.save_pretrained(again)
        made, info = type(model).from_pretrained(again, output_loading_info=True)
        assert {key.removeprefix(prefix) for key in info["missing_keys"]} <= LOST
        assert not info["unexpected_keys"]
        off = TOLERANCE if "Mamba" in name else 0.0
        assert torch.allclose(output(made.eval()), wanted, rtol=off, atol=off)
