from __future__ import annotations

import huggingface_hub
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.shard_names import (
    Index,
    ShardName,
    byte_count,
    free_generation,
    read_index,
    shard_name,
    split_sizes,
)
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 60))
def test_shards_are_split_as_huggingface_hub_splits_them(sizes: list[int], limit: int) -> None:
    given = {f"t{number}": size for number, size in enumerate(sizes)}
    arrays = {key: np.zeros(size, np.uint8) for key, size in given.items()}
    theirs = huggingface_hub.split_state_dict_into_shards_factory(
        arrays,
        get_storage_size=lambda a: a.nbytes,
        max_shard_size=limit,
        filename_pattern="m{suffix}",
    )
    ours = split_sizes(given, limit)
    assert [keys for keys in ours if keys] == [k for k in theirs.filename_to_tensors.values() if k]


@pytest.mark.parametrize(
    ("text", "size"),
    [("5GB", 5 * 10**9), ("1.5 MiB", 3 << 19), ("10", 10), ("7kb", 7000), ("2T", 2 * 10**12)],
)
def test_sizes_as_text(text: str, size: int) -> None:
    assert byte_count(text) == size


@pytest.mark.parametrize("size", ["", "GB", "0", "-1", "5XB", "1e9", None])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(StateDictError, match="is no size"):
        byte_count(size)


def test_names_and_generations() -> None:
    known = ShardName("model", 0, 2, 3, ".safetensors")
    assert shard_name(str(known)) == known
    assert shard_name(str(known._replace(generation=12))) == known._replace(generation=12)
    for odd in ("model.safetensors", "model-2-of-3.safetensors", "-00002-of-00003.bin", "a.gguf"):
        assert shard_name(odd) is None
    names = ["model-00001-of-00002.safetensors", "other-g7-00001-of-00002.safetensors"]
    assert free_generation(names, "model", ".safetensors") == 1
    assert free_generation(names, "other", ".safetensors") == 8
    assert free_generation(names, "model", ".bin") == 0


def index_of(text: bytes) -> Index:
    return read_index(Source("index.json", BytesBacking(text), 0, len(text)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "no index"),
        (b"[]", "no index"),
        (b"{}", "no index"),
        (b"\xff\xfe", "no index"),
        (b"[" * 100_000, "no index"),
        (b'{"weight_map": []}', "no map"),
        (b'{"weight_map": {}, "metadata": 3}', "no map"),
        (b'{"weight_map": {"w": 1}}', "no file name"),
        (b'{"weight_map": {"w": "a", "w": "b"}}', "given twice"),
    ],
)
def test_what_is_no_index(text: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=f"index.json: .*{problem}"):
        index_of(text)


def test_an_index_reads_as_it_was_written() -> None:
    index = Index({"b": "2.safetensors", "a": "1.safetensors"}, {"total_size": 8, "é": "x"})
    assert index_of(index.to_json()) == index
    assert index.shards() == ["2.safetensors", "1.safetensors"]
    assert index_of(b'{"weight_map": {}, "metadata": null}') == Index({}, {})
