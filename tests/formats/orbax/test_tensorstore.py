"""TensorStore writes arrays and stores of any kind, and they are read bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.ocdbt import read_ocdbt
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Folder
from tests.formats.orbax.ocdbt_made import metadata

pytestmark = pytest.mark.slow
REASON = "TensorStore is not installed; .ci/run worlds installs it"
tensorstore = pytest.importorskip("tensorstore", reason=REASON)
pytest.importorskip("zstandard", reason=REASON)


class Made:
    """An array of random shape, dtype, chunks and codecs, as TensorStore writes it."""

    def __init__(self, seed: int) -> None:
        self.random = chance = random.Random(seed)
        shape = [chance.randint(1, 9) for _ in range(chance.randint(0, 4))]
        self.dtype = chance.choice(["float32", "bfloat16", "int8", "bool", "complex64", "int64"])
        self.array = np.array(np.random.default_rng(seed).integers(0, 2, shape)).astype(
            ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype
        )
        self.chunks = [chance.randint(1, size) for size in shape]
        self.is_zarr3 = chance.random() < 0.5
        self.is_ocdbt = chance.random() < 0.5
        self.fills = chance.random() < 0.5

    def write(self, folder: Path, key: str) -> None:
        base = {"driver": "file", "path": f"{folder}/{key}/"}
        if self.is_ocdbt:
            config = {"max_decoded_node_bytes": self.random.choice([300, 8 << 20])}
            base = {"driver": "ocdbt", "base": f"file://{folder}/", "path": f"{key}/"}
            base["config"] = {**config, "compression": self.random.choice([None, {"id": "zstd"}])}
        made = self._zarr3() if self.is_zarr3 else self._zarr2()
        spec = {"driver": "zarr3" if self.is_zarr3 else "zarr", "kvstore": base, "metadata": made}
        spec["store_data_equal_to_fill_value"] = not self.fills
        shape = list(self.array.shape)
        opening = tensorstore.open(spec, create=True, dtype=self.dtype, shape=shape)
        opening.result().write(self.array).result()
        text = metadata([key], store_array_data_equal_to_fill_value=not self.fills)
        (folder / "_METADATA").write_bytes(text)

    def _zarr2(self) -> dict[str, Any]:
        packed = [None, {"id": "zstd", "level": 1}, {"id": "gzip", "level": 1}, {"id": "zlib"}]
        return {
            "chunks": self.chunks,
            "compressor": self.random.choice(packed),
            "order": self.random.choice("CF") if self.array.ndim > 1 else "C",
            "dimension_separator": self.random.choice("./"),
        }

    def _zarr3(self) -> dict[str, Any]:
        endian = self.random.choice(["little", "big"])
        packed = [[], [{"name": "zstd"}], [{"name": "gzip"}], [{"name": "crc32c"}]]
        codecs = [{"name": "bytes", "configuration": {"endian": endian}}]
        codecs += self.random.choice(packed)
        grid = self.chunks
        if self.random.random() < 0.6:
            grid = [size * self.random.randint(1, 3) for size in self.chunks]
            if any(g > n for g, n in zip(grid, self.array.shape, strict=True)):
                grid = self.chunks
            location = self.random.choice(["start", "end"])
            within = {"chunk_shape": self.chunks, "codecs": codecs, "index_location": location}
            codecs = [{"name": "sharding_indexed", "configuration": within}]
        encoding = {"name": self.random.choice(["default", "v2"])}
        return {
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": grid}},
            "chunk_key_encoding": encoding,
            "codecs": codecs,
        }


@pytest.mark.parametrize("seed", range(150))
def test_arrays_of_any_chunks_and_codecs_and_their_slices(seed: int, tmp_path: Path) -> None:
    made = Made(seed)
    made.write(tmp_path, "w")
    with sd.read_state_dict(tmp_path) as state:
        leaf = state["w"]
        assert str(leaf.dtype) == made.dtype
        assert leaf.numpy().tobytes() == made.array.tobytes()
        for _ in range(5):
            index = tuple(_pick(made.random, size) for size in made.array.shape)
            index = index[: made.random.randint(0, len(index))]
            assert leaf[index].numpy().tolist() == made.array[index].tolist()


def _pick(chance: random.Random, size: int) -> Any:
    if chance.random() < 0.3:
        return chance.randrange(size)
    start = chance.randrange(size)
    return slice(start, chance.randint(start, size), chance.randint(1, 3))


@pytest.mark.parametrize("seed", range(20))
def test_a_store_with_a_history(seed: int, tmp_path: Path) -> None:
    """Values are written, changed and removed in many versions, in nodes of any size."""
    chance = random.Random(seed)
    config = {
        "max_decoded_node_bytes": chance.choice([100, 400, 3000]),
        "max_inline_value_bytes": chance.choice([0, 16, 1000]),
        "manifest_kind": chance.choice(["single", "numbered"]),
        "compression": chance.choice([None, {"id": "zstd"}]),
        "version_tree_arity_log2": chance.choice([1, 4]),
    }
    spec = {"driver": "ocdbt", "base": f"file://{tmp_path}/", "config": config}
    store = tensorstore.KvStore.open(spec).result()
    known: dict[str, bytes] = {}
    for _ in range(chance.randint(1, 12)):
        with tensorstore.Transaction() as transaction:
            change = store.with_transaction(transaction)
            for _ in range(chance.randint(1, 30)):
                key = f"{'a' * chance.randint(0, 40)}.{chance.randrange(200)}"
                if key in known and chance.random() < 0.4:
                    change.write(key, None)
                    known.pop(key)
                else:
                    known[key] = chance.randbytes(chance.choice([0, 5, 60]))
                    change.write(key, known[key])
    assert _values(tmp_path) == known


def _values(folder: Path) -> dict[str, bytes]:
    nodes = read_ocdbt(FolderBelow(Folder(folder)), HeaderMemory("a store", 1 << 20))
    return {
        node.keys[at].decode(): node.source(at, "a value").head(1 << 20)
        for node in nodes
        for at in range(len(node.keys))
    }
