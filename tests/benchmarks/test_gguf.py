"""GGUF beside gguf-py: opening a large vocabulary, and unpacking every block type.

Run with ``pytest tests/benchmarks/test_gguf.py --benchmark-enable -m ''``: the figure in brackets
is the ratio to the fastest of a group.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import _type_traits
from pytest_benchmark.fixture import BenchmarkFixture

from caten_sd.checkpoint import read_state_dict
from caten_sd.quantization.block_types import block_type
from caten_sd.tensor import dequantize

VOCABULARY = 262_144
KINDS = [kind for kind in _type_traits if kind.name != "BF16"]

Unpack = Callable[[Any, GGMLQuantizationType], Any]


@pytest.fixture(scope="module")
def vocabulary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file like a real one of 262,144 tokens, with 236 small tensors."""
    count = VOCABULARY if request.config.getoption("benchmark_enable") else 64
    path = tmp_path_factory.mktemp("gguf") / "vocabulary.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_array("tokenizer.ggml.tokens", [f"token {n}" for n in range(count)])
    writer.add_array("tokenizer.ggml.scores", [float(n) for n in range(count)])
    writer.add_array("tokenizer.ggml.token_type", [1] * count)
    for number in range(236):
        writer.add_tensor(f"blk.{number}.w", np.zeros((4, 4), "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def caten_sd(path: Path) -> None:
    read_state_dict(path).close()


def gguf_py(path: Path) -> None:
    gguf.GGUFReader(path)


@pytest.mark.parametrize("way", [caten_sd, gguf_py])
def test_open_a_vocabulary(
    benchmark: BenchmarkFixture, vocabulary: Path, way: Callable[[Path], None]
) -> None:
    """Ours is to take at most 1/50."""
    benchmark.group = f"open {VOCABULARY:,} tokens"
    benchmark.pedantic(way, (vocabulary,), rounds=5 if way is caten_sd else 1)


def unpack_caten_sd(raw: Any, kind: GGMLQuantizationType) -> Any:
    return dequantize(block_type(kind.name), raw)


def unpack_gguf_py(raw: Any, kind: GGMLQuantizationType) -> Any:
    with np.errstate(all="ignore"):
        return gguf.dequantize(raw, kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("way", [unpack_caten_sd, unpack_gguf_py])
def test_unpack(benchmark: BenchmarkFixture, way: Unpack, kind: GGMLQuantizationType) -> None:
    """Ours is to take at most 1/3, on 16 million values in rows of 4,096."""
    elements, size = GGML_QUANT_SIZES[kind]
    rows = 1 if benchmark.disabled else 4096
    raw = np.random.default_rng(0).integers(0, 256, (rows, 4096 // elements * size), "u1")
    benchmark.group = f"unpack {kind.name}"
    values = benchmark.pedantic(way, (raw, kind), rounds=5, warmup_rounds=1)
    assert values.shape == (rows, 4096)
