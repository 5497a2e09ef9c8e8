"""A GGUF that was written here says what its readers need: gguf-py, llama.cpp, transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, GPT2LMHeadModel

import caten_sd as sd

TINY = Path(__file__).parents[3] / "examples" / "tiny_gpt2"
KNOWN = {
    "general.architecture": "gpt2",
    "gpt2.vocab_size": 256,
    "gpt2.context_length": 256,
    "gpt2.embedding_length": 96,
    "gpt2.feed_forward_length": 384,
    "gpt2.block_count": 4,
    "gpt2.attention.head_count": 4,
    "gpt2.attention.layer_norm_epsilon": np.float32(1e-5),
}


def fields(path: Path) -> dict[str, tuple[str, object]]:
    return {
        name: (field.types[0].name, field.contents())
        for name, field in GGUFReader(path).fields.items()
        if not name.startswith("GGUF.")
    }


def test_what_the_layout_and_the_configuration_know_is_written(tmp_path: Path) -> None:
    sd.convert(TINY, tmp_path / "w.gguf", layout="gguf-gpt2")
    found = fields(tmp_path / "w.gguf")
    assert {name: found[name][1] for name in KNOWN} == KNOWN
    assert found["gpt2.block_count"][0] == "UINT32"
    assert found["gpt2.attention.layer_norm_epsilon"][0] == "FLOAT32"


def test_a_quantized_file_says_the_version_of_its_blocks(tmp_path: Path) -> None:
    sd.convert(TINY, tmp_path / "q.gguf", layout="gguf-gpt2", dtype="q8_0")
    assert fields(tmp_path / "q.gguf")["general.quantization_version"] == ("UINT32", 2)


def test_transformers_opens_it(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    sd.convert(TINY, tmp_path / "w.gguf", layout="gguf-gpt2")
    meant = GPT2LMHeadModel.from_pretrained(TINY)
    # The file has no tokenizer, from which transformers counts the vocabulary.
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="w.gguf", config=meant.config)
    theirs, ours = model.state_dict(), meant.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], ours[key]) for key in ours)
    tokens = torch.arange(40)[None]  # the last bit of a logit depends on where memory is aligned
    torch.testing.assert_close(model(tokens).logits, meant(tokens).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "holds"), [("n" * 63, True), ("n" * 64, False), ("ü" * 32, False)]
)
def test_a_name_is_at_most_63_bytes(tmp_path: Path, name: str, holds: bool) -> None:
    path = tmp_path / "w.gguf"
    if holds:
        sd.write_state_dict({name: np.ones(2, "f4")}, path)
        assert [tensor.name for tensor in GGUFReader(path).tensors] == [name]
        return
    with pytest.raises(sd.StateDictError, match="64 bytes, and GGUF allows 63; rename"):
        sd.write_state_dict({name: np.ones(2, "f4")}, path)
    assert list(tmp_path.iterdir()) == []
