"""Each pair's GGUF as it is written here, run in llama.cpp: the numbers of the converter's file.

Where llama.cpp refuses the converter's file, or computes other numbers from it, transformers'
model of the pair decides. The pairs are those of test_frozen_layouts.py; CATEN_SD_PAIRS names the
folder that has them, and CATEN_SD_NODE_LLAMA one with node-llama-cpp.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.errors import CatenError
from tests.oracles.llama_cpp_logits import ENCODERS, TOKENS, LlamaCpp
from tests.oracles.pairs import GGUF

PAIRS, NODE = (os.environ.get(f"CATEN_SD_{name}", "") for name in ("PAIRS", "NODE_LLAMA"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAIRS, reason="CATEN_SD_PAIRS names no folder of pairs"),
    pytest.mark.skipif(not NODE, reason="CATEN_SD_NODE_LLAMA names no folder with node-llama-cpp"),
]

# Pairs that llama.cpp does not run, a word of what it says, and why.
REFUSED = {
    "ApertusForCausalLM": ("xielu", "numbers of it are tensors elsewhere, and no layout has them"),
    "DeepseekV32ForCausalLM": ("ASSERT", "the pair's indexer has sizes of no real model"),
    "Dots1ForCausalLM": ("attn_k", "llama.cpp has no grouped heads for it, and the pair has"),
    "Gemma3TextModel": ("ASSERT", "the pair has too few layers: none has a window"),
    "Gemma3nForCausalLM": ("per_layer_token_embd", "llama.cpp has a constant for that width"),
    "GlmMoeDsaForCausalLM": ("ASSERT", "as DeepseekV32ForCausalLM"),
    "Llama4ForCausalLM": ("ASSERT", "the pair has too few layers: none is without positions"),
    "MellumForCausalLM": ("is_swa_any", "the pair has no window, and real models have"),
    "MiMoV2FlashForCausalLM": ("attn_k", "the pair has heads of two sizes"),
    "MiniCPM3ForCausalLM": ("ASSERT", "the pair's heads have sizes of no real model"),
    "MuseGlimmerAssistantModel": ("target_layers", "it runs within another model only"),
    "NemotronHForCausalLM": ("ssm_in", "the pair has a layer without attention or experts"),
    "OlmoeForCausalLM": ("attn_k_norm", "as Dots1ForCausalLM"),
    "PaddleOCRVLForConditionalGeneration": ("sections", "the pair's configuration has none"),
    "PhiForCausalLM": ("attn_k", "as Dots1ForCausalLM"),
    "Qwen2_5_VLForConditionalGeneration": ("sections", "as PaddleOCRVLForConditionalGeneration"),
    "Qwen3ASRForConditionalGeneration": ("sections", "as PaddleOCRVLForConditionalGeneration"),
    "Qwen3VLForConditionalGeneration": ("sections", "as PaddleOCRVLForConditionalGeneration"),
    "Qwen3VLMoeForConditionalGeneration": ("sections", "as PaddleOCRVLForConditionalGeneration"),
}
SAME, EQUAL_MODELS = 75, 10  # at least: the converter's numbers, and transformers'
TOLERANCE = 5e-4  # of numbers of about 0.1; llama.cpp rounds its cache to float16


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> LlamaCpp:
    return LlamaCpp(Path(NODE), tmp_path_factory.mktemp("llama"))


def written(folder: Path) -> Iterator[tuple[str, Path, Path, str]]:
    """Yield the name of each pair, our file, the converter's, and the architecture."""
    ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
    for path in sorted(Path(PAIRS).glob(f"*/{GGUF}")):
        meant, source = (sd.read_state_dict(path.with_name(n)) for n in (GGUF, "model.safetensors"))
        origin = sd.detect_layout(source).layout
        try:
            target = sd.plan_layout(meant, origin or "").source
            more = _without_tokens(meant)
            sd.convert(source_of(path), ours, layout=target, from_layout=origin, metadata=more)
        except CatenError:
            continue
        sd.convert(path, theirs, metadata={**_of_set_vocab(meant), **more})
        yield path.parent.name, ours, theirs, str(meant.metadata["general.architecture"])


def source_of(path: Path) -> Path:
    return path.with_name("model.safetensors")


def _without_tokens(meant: Any) -> dict[str, Any]:
    """Return entries that say that a file has no tokenizer, and how many tokens the model has."""
    known = meant.get("token_embd.weight")
    count = 160 if known is None else known.shape[0]
    architecture = meant.metadata["general.architecture"]
    return {"tokenizer.ggml.model": "no_vocab", f"{architecture}.vocab_size": count}


def _of_set_vocab(meant: Any) -> dict[str, Any]:
    """Return entries that the converter writes with a tokenizer, which the pairs do not have."""
    kinds, classes = meant.get("token_types.weight"), meant.get("cls.output.weight")
    entries = {"tokenizer.ggml.token_type_count": 1 if kinds is None else kinds.shape[0]}
    labels = {} if classes is None else {"bert.classifier.output_labels": ["a"] * classes.shape[0]}
    return {**entries, **labels}


def of_transformers(name: str, architecture: str) -> np.ndarray:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    encodes = architecture in ENCODERS
    kind = transformers.AutoModel if encodes else getattr(transformers, name.split("-")[0])
    model = kind.from_pretrained(Path(PAIRS) / name, dtype=torch.float32).eval()
    with torch.no_grad():
        found = model(input_ids=torch.tensor([TOKENS]))
    numbers = found.last_hidden_state if encodes else found.logits
    return np.asarray(numbers[0].numpy().ravel())


def test_llama_cpp_computes_the_same_from_what_is_written(
    program: LlamaCpp, tmp_path: Path
) -> None:
    same, equal, refused, variants = [], [], {}, []
    for name, ours, theirs, architecture in written(tmp_path):
        found, meant = (program.numbers(path, architecture) for path in (ours, theirs))
        if isinstance(found, str):
            refused[name] = found
            if "-" in name and isinstance(meant, str):
                variants.append(name)  # with other biases or layers than llama.cpp has for it
        elif isinstance(meant, np.ndarray) and np.array_equal(found, meant):
            same.append(name)
        else:
            model = of_transformers(name, architecture)
            np.testing.assert_allclose(found, model, rtol=0, atol=TOLERANCE, err_msg=name)
            equal.append(name)
    wrong = {name: said for name, said in refused.items()
             if name not in variants and REFUSED.get(name, ["-"])[0] not in said}  # fmt: skip
    assert not wrong, wrong
    assert len(same) >= SAME, (same, equal)
    assert len(equal) >= EQUAL_MODELS, (same, equal)
