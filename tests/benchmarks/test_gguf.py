"""GGUF against gguf-py: opening a large vocabulary, and unpacking every block type."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import _type_traits

from caten_sd.blocks.block_types import block_type
from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.leaf import dequantize

from .conftest import Race

VOCABULARY = 262_144
KINDS = [kind for kind in _type_traits if kind.name != "BF16"]
LOOKED_UP = ("IQ", "MXFP4", "NVFP4")  # types whose values are in tables, where the peer is slow
BOUND = "the memory: 64 MiB of fresh pages are filled with floats"


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file like a real one of 262,144 tokens, with 236 small tensors."""
    path = tmp_path_factory.mktemp("gguf") / "vocabulary.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_array("tokenizer.ggml.tokens", [f"token {n}" for n in range(VOCABULARY)])
    writer.add_array("tokenizer.ggml.scores", [float(n) for n in range(VOCABULARY)])
    writer.add_array("tokenizer.ggml.token_type", [1] * VOCABULARY)
    for number in range(236):
        writer.add_tensor(f"blk.{number}.w", np.zeros((4, 4), "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_unpack(race: Race, kind: GGMLQuantizationType) -> None:
    """16 million values in rows of 4,096."""
    elements, size = GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(0).integers(0, 256, (4096, 4096 // elements * size), "u1")

    def peer() -> None:
        with np.errstate(all="ignore"):
            gguf.dequantize(raw, kind)

    ours = block_type(kind.name)
    at_most = 1 / 3 if kind.name.startswith(LOOKED_UP) else 1 / 2
    what = f"unpack {kind.name} / gguf-py"
    race(what, lambda: dequantize(ours, raw), peer, at_most, pairs=5, bound=BOUND)


@pytest.mark.slow
def test_open_a_vocabulary(race: Race, vocabulary: Path) -> None:
    def ours() -> None:
        read_state_dict(vocabulary).close()

    what = f"open GGUF of {VOCABULARY:,} tokens / GGUFReader"
    race(what, ours, lambda: gguf.GGUFReader(vocabulary), 1 / 50, pairs=2)
