"""The main job, with transformers as the oracle: GPT-2 read, mapped, loaded, computed, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import caten_sd as sd
from caten_sd.nn import Transformer, generate

# dim, heads, layers of the four published sizes; vocabulary 50257, 1024 positions.
PUBLISHED = {
    "small": (768, 12, 12),
    "medium": (1024, 16, 24),
    "large": (1280, 20, 36),
    "xl": (1600, 25, 48),
}
NEW_TOKENS = 64


def hugging_face(dim: int, heads: int, layers: int, vocab: int, positions: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=dim,
        n_head=heads,
        n_layer=layers,
        vocab_size=vocab,
        n_positions=positions,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    # The default initialization is so narrow that a swapped weight would hardly change a logit.
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    return model


def check_both_ways(folder: Path, dim: int, heads: int, layers: int, vocab: int, positions: int):
    theirs = hugging_face(dim, heads, layers, vocab, positions)
    theirs.save_pretrained(folder / "theirs")
    ours = Transformer(dim, heads, layers, 1e-5, vocab, max_seq_len=positions)
    with sd.read_state_dict(folder / "theirs" / "model.safetensors") as file:
        assert sd.detect_layout(file).layout.name == "hf-gpt2"
        sd.load_state_dict(ours, sd.to_layout(file, "caten-gpt2"), strict=True)

    prompt = torch.randint(0, vocab, (1, 16), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = theirs(prompt).logits, ours(prompt)
    assert expected.abs().max() > 0.1  # a comparison of zeros would prove nothing
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    reference = theirs.generate(
        prompt, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0, eos_token_id=None
    )
    assert torch.equal(generate(ours, prompt, NEW_TOKENS), reference)

    back = folder / "back"
    back.mkdir()
    theirs.config.save_pretrained(back)
    written = sd.to_layout(sd.get_state_dict(ours), "hf-gpt2", from_layout="caten-gpt2")
    sd.write_state_dict(written, back / "model.safetensors")
    again, info = GPT2LMHeadModel.from_pretrained(back, output_loading_info=True)
    # Our lm_head is a separate tensor, equal to wte; theirs ties the two.
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key


def test_small_gpt2_gives_the_same_numbers_both_ways(tmp_path: Path):
    check_both_ways(tmp_path, 48, 4, 3, 97, 96)


@pytest.mark.slow
@pytest.mark.parametrize("size", PUBLISHED)
def test_published_widths_cut_to_two_layers(tmp_path: Path, size: str):
    dim, heads, _ = PUBLISHED[size]
    check_both_ways(tmp_path, dim, heads, 2, 50257, 1024)


@pytest.mark.slow
def test_the_whole_124_million(tmp_path: Path):
    check_both_ways(tmp_path, *PUBLISHED["small"], 50257, 1024)
