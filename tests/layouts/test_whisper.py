"""Whisper: transformers, and openai-whisper."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

from caten_sd import StateDict, read_state_dict
from caten_sd.errors import LayoutError
from caten_sd.layouts.whisper import HF, OPENAI
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from tests.layouts.key_lists import check_detected, listed, shapes, tensors

SIZES = {
    "vocab_size": 51,
    "d_model": 8,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_mel_bins": 4,
    "max_source_positions": 6,
    "max_target_positions": 5,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0),
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
OPENAI_SIZES = (4, 6, 8, 2, 2, 51, 5, 8, 2, 3)  # in the order of ModelDimensions


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(WhisperConfig(**SIZES)).eval()
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


def test_a_file_becomes_openai_s_and_comes_back(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    check_detected(file, "hf-whisper")
    there = tensors(to_layout(file, OPENAI, strict=True))
    check_detected(there, "openai-whisper")
    back = tensors(to_layout(there, HF, strict=True))
    assert back.keys() == file.keys()
    assert all(torch.equal(back[key], file[key]) for key in file)


def test_the_layers_of_both_sides_are_counted_apart(model: Any) -> None:
    found = plan_layout(model.state_dict(), OPENAI).detection
    assert found is not None
    assert (found.numbers["encoder_layers"], found.numbers["decoder_layers"]) == (2, 3)


@pytest.mark.parametrize("whole", [True, False])
def test_the_output_is_tied_to_the_tokens(model: Any, whole: bool) -> None:
    given = (model if whole else model.model).state_dict()
    state = to_layout(to_layout(given, OPENAI, strict=True), HF, strict=True)
    assert "proj_out.weight" not in state
    assert HF.canonical.name == "hf-whisper-canonical"
    inner = to_layout(state, HF.canonical, strict=True)
    assert inner.ties == {"proj_out.weight": "decoder.embed_tokens.weight"}


def test_an_output_of_its_own_is_not_lost(model: Any) -> None:
    given = dict(model.state_dict())
    same = given["proj_out.weight"].clone()
    assert "proj_out.weight" not in to_layout({**given, "proj_out.weight": same}, OPENAI)
    with pytest.raises(LayoutError, match=r"proj_out\.weight: .*decoder\.embed_tokens\.weight"):
        to_layout({**given, "proj_out.weight": same + 1}, OPENAI)


def test_the_tiny_model_of_openai_is_that_of_transformers() -> None:
    file = listed("openai-whisper.txt")
    check_detected(file, "openai-whisper")
    with torch.device("meta"):
        tiny = WhisperForConditionalGeneration(
            WhisperConfig(encoder_layers=4, decoder_layers=4, d_model=384)
        )
    live = tiny.state_dict()
    found = shapes(to_layout(file, HF, strict=True))
    assert {**found, "proj_out.weight": (51865, 384)} == shapes(live)
    assert shapes(to_layout(live, OPENAI, strict=True)) == shapes(file)


def test_a_pt_file_of_openai_is_opened_as_the_model(model: Any, tmp_path: Path) -> None:
    there = tensors(to_layout(model.state_dict(), OPENAI, strict=True))
    torch.save({"dims": {"n_mels": 4}, "model_state_dict": there}, tmp_path / "tiny.pt")
    read = read_state_dict(tmp_path / "tiny.pt")
    assert isinstance(read, StateDict)
    check_detected(read, "openai-whisper")


@pytest.mark.slow
def test_openai_whisper_gives_the_same_logits(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tiktoken", reason="openai-whisper is not whole without tiktoken")
    if "numba" not in sys.modules:  # which only aligns words with it
        stand_in: Any = types.ModuleType("numba")
        stand_in.jit = lambda *_, **__: lambda function: function
        monkeypatch.setitem(sys.modules, "numba", stand_in)
    whisper = pytest.importorskip("whisper.model", reason="openai-whisper is not installed")
    theirs = whisper.Whisper(whisper.ModelDimensions(*OPENAI_SIZES)).eval()
    theirs.load_state_dict(tensors(to_layout(model.state_dict(), OPENAI, strict=True)))
    mel, tokens = torch.randn(2, 4, 12), torch.randint(0, 51, (2, 5))
    with torch.no_grad():
        ours = model(input_features=mel, decoder_input_ids=tokens).logits
        given = theirs(mel, tokens)
    assert given.std() > 0.1
    torch.testing.assert_close(given, ours, rtol=1e-5, atol=1e-4)
    back = tensors(to_layout(theirs.state_dict(), HF, strict=True))
    assert all(torch.equal(back[key], model.state_dict()[key]) for key in back)
