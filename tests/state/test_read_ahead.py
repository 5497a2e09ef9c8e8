"""ReadAhead: the bytes of plain reads, with fewer of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd import FormatError
from caten_sd.state import read_ahead
from caten_sd.state.backing import BytesBacking
from caten_sd.state.read_ahead import ReadAhead
from caten_sd.state.source import Source

DATA = bytes(range(200))


class Counted(BytesBacking):
    """Bytes that count how often they are read."""

    reads = bytes_read = 0

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        self.reads += 1
        self.bytes_read += count
        return super().read(start, count)


@pytest.fixture(autouse=True)
def _small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "FIRST", 5)
    monkeypatch.setattr(read_ahead, "WINDOW", 20)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=20))
def test_it_returns_what_the_source_does(reads: list[tuple[int, int]]) -> None:
    source = Source("w", BytesBacking(DATA), 0, len(DATA))
    ahead = ReadAhead(source)
    for start, count in reads:
        if start + count <= len(DATA):
            assert ahead.read(start, count) == DATA[start : start + count]
        else:
            with pytest.raises(FormatError, match="short"):
                ahead.read(start, count)


def test_neighbors_are_read_together() -> None:
    backing = Counted(DATA)
    ahead = ReadAhead(Source("w", backing, 0, len(DATA)))
    assert b"".join(ahead.read(at, 2) for at in range(0, 200, 2)) == DATA
    assert backing.reads == 12  # 2, 10 and then 20 bytes at a time


def test_far_apart_only_what_is_asked_for_is_read() -> None:
    backing = Counted(DATA)
    ahead = ReadAhead(Source("w", backing, 0, len(DATA)))
    for at in (0, 100, 30, 180):
        assert ahead.read(at, 2) == DATA[at : at + 2]
    assert (backing.reads, backing.bytes_read) == (4, 8)
