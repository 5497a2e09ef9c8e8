"""Models that transformers has quantized: the file of the model fits it, and floats are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from caten_sd import (
    LoadError,
    get_state_dict,
    load,
    load_state_dict,
    plan_load,
    read_state_dict,
    save,
    to_floats,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FORMATS = {
    "W4A16": "pack-quantized",
    "FP8": "float-quantized",
    "NVFP4A16": "nvfp4-pack-quantized",
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def dense(folder: Path) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return model


def compressed(scheme: str, folder: Path) -> None:
    """Save a model that compressed-tensors has quantized."""
    library = pytest.importorskip("compressed_tensors", reason="it quantizes the model")
    quantization = pytest.importorskip("compressed_tensors.quantization", exc_type=ImportError)
    model = dense(folder)
    config = quantization.QuantizationConfig(config_groups={scheme: ["Linear"]}, ignore=["lm_head"])
    quantization.apply_quantization_config(model, config)
    for name, each in model.named_parameters():
        if name.endswith("scale"):
            each.data.fill_(1.0 if "global" in name else 0.02)
    compressor = library.ModelCompressor(quantization_config=config)
    compressor.compress_model(model)
    model.save_pretrained(folder)
    compressor.update_config(folder)
    stated = json.loads((folder / "config.json").read_text())
    stated["quantization_config"] |= {
        "format": FORMATS[scheme],
        "quantization_status": "compressed",
    }
    (folder / "config.json").write_text(json.dumps(stated))


@pytest.mark.parametrize("scheme", FORMATS)
def test_the_file_of_a_compressed_model_fits_and_is_written_again(
    scheme: str, tmp_path: Path
) -> None:
    compressed(scheme, tmp_path / "packed")
    dense(tmp_path / "dense")
    cls = transformers.LlamaForCausalLM
    live = cls.from_pretrained(tmp_path / "packed")
    assert live.hf_quantizer is not None
    assert get_state_dict(live).keys() == live.state_dict().keys()
    with (
        read_state_dict(tmp_path / "packed") as file,
        read_state_dict(tmp_path / "dense") as floats,
    ):
        assert plan_load(live, file).fits
        assert "the model is quantized (14 weights such as" in str(plan_load(live, floats))
        plain = cls.from_pretrained(tmp_path / "dense")
        assert "the file is quantized" in str(plan_load(plain, file))
    save(live, tmp_path / "again.safetensors")
    other = cls.from_pretrained(tmp_path / "packed")
    for each in (*other.parameters(), *other.buffers()):
        each.data.zero_()
    load(other, tmp_path / "again.safetensors", strict=True)
    expected = live.state_dict()
    assert all(torch.equal(each, expected[key]) for key, each in other.state_dict().items())


@pytest.mark.parametrize("scheme", FORMATS)
def test_the_floats_of_its_file_are_what_transformers_makes_of_it(
    scheme: str, tmp_path: Path
) -> None:
    compressed(scheme, tmp_path)
    config = transformers.CompressedTensorsConfig(run_compressed=False)
    live = transformers.LlamaForCausalLM.from_pretrained(tmp_path, quantization_config=config)
    with read_state_dict(tmp_path) as file:
        floats = to_floats(file)
        for key, each in live.state_dict().items():
            assert torch.equal(floats[key].torch().to(each.dtype), each), key
        load_state_dict(live, floats, strict=True)


@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes_takes_back_no_scales_and_that_is_said(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="it quantizes the model")
    dense(tmp_path / "dense")
    config = transformers.BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    cls = transformers.LlamaForCausalLM
    live = cls.from_pretrained(tmp_path / "dense", quantization_config=config)
    before = {key: each.clone() for key, each in live.state_dict().items()}
    assert get_state_dict(live).keys() == before.keys()
    save(live, tmp_path / "packed.safetensors")
    with read_state_dict(tmp_path / "packed.safetensors") as file:
        assert file.keys() == before.keys()
        assert all(torch.equal(file[key].torch(), each) for key, each in before.items())
    with read_state_dict(tmp_path / "dense") as floats:
        assert "the model is quantized (14 weights such as" in str(plan_load(live, floats))
        with pytest.raises(LoadError):
            load_state_dict(live, floats, strict=True)
    assert all(torch.equal(each, before[key]) for key, each in live.state_dict().items())
