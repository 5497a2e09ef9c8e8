from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def good(tmp_path: Path) -> Path:
    save_file({"w": torch.ones(4)}, tmp_path / "good.safetensors")
    return tmp_path / "good.safetensors"


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=32, n_head=2, n_layer=2, vocab_size=32, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path / "model.safetensors"
