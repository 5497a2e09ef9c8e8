from __future__ import annotations

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.shard_index import Index, read_index
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source


def index_of(text: bytes) -> Index:
    return read_index(Source("index.json", BytesBacking(text), 0, len(text)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "weight_map"),
        (b"[]", "weight_map"),
        (b"{}", "weight_map"),
        (b"\xff\xfe", "weight_map"),
        (b"[" * 100_000, "weight_map"),
        (b'{"weight_map": []}', "JSON object"),
        (b'{"weight_map": {}, "metadata": 3}', "JSON object"),
        (b'{"weight_map": {"w": 1}}', "'w' to 1"),
        (b'{"weight_map": {"w": "a", "w": "b"}}', "'w'"),
    ],
)
def test_what_is_not_an_index_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=f"index.json: .*{problem}"):
        index_of(text)


def test_an_index_reads_as_it_was_written() -> None:
    index = Index({"b": "2.safetensors", "a": "1.safetensors"}, {"total_size": 8, "é": "x"})
    assert index_of(index.to_json()) == index
    assert index.shards() == ["2.safetensors", "1.safetensors"]
    assert index_of(b'{"weight_map": {}, "metadata": null}') == Index({}, {})
