from __future__ import annotations

import pytest

from caten_sd.errors import FormatError
from caten_sd.state.header_memory import CONTAINER, ENTRY, SMALL, HeaderMemory


def test_a_header_may_take_64_mb_and_8_times_its_size() -> None:
    memory = HeaderMemory("a.pkl", 1000)
    memory.take((64 << 20) + 8000)
    with pytest.raises(FormatError, match=r"a\.pkl: .* over 64 MB and 8 times the 1,000 bytes"):
        memory.take(CONTAINER)


def test_entries_count_in_large_dicts() -> None:
    memory = HeaderMemory("a.pkl", 0)
    before = memory.left
    memory.take_entries(1, SMALL)
    assert memory.left == before
    memory.take_entries(2, SMALL + 2)
    assert memory.left == before - 2 * ENTRY


def test_what_nothing_walks_over_may_be_counted_half_as_much_again() -> None:
    memory = HeaderMemory("a.pkl", 1000, walked=False)
    memory.add(1000)
    memory.take(3 * ((64 << 20) + 16_000) // 2)
    with pytest.raises(FormatError, match=r"a\.pkl: .* the 2,000 bytes"):
        memory.take(CONTAINER)
