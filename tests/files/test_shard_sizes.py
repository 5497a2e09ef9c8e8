from __future__ import annotations

import huggingface_hub
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import StateDictError
from caten_sd.files.shard_sizes import byte_count, split_sizes


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
def test_a_text_that_is_not_a_size_is_refused(size: str) -> None:
    with pytest.raises(StateDictError, match=r"not a size; .*5GB"):
        byte_count(size)
