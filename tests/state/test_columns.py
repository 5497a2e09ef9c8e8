"""Columns: few or many, the answers are those of a plain loop."""

from __future__ import annotations

import itertools
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.state import columns

RANGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=6)


def fill_by_a_loop(ranges: list[tuple[int, int]], size: int) -> bool:
    at = 0
    for begin, end in sorted(ranges):
        if begin != at:
            return False
        at = end
    return at == size


@pytest.fixture(params=[0, 1 << 60], ids=["many", "few"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(columns, "MANY", request.param)
    return int(request.param)


@pytest.mark.usefixtures("limit")
class TestColumns:
    @given(RANGES, st.integers(0, 8))
    def test_ranges_fill_exactly(self, given: list[tuple[int, int]], size: int) -> None:
        ranges = [(begin, begin + length) for begin, length in given]
        begins, ends = (array("q", [pair[n] for pair in ranges]) for n in (0, 1))
        assert columns.fill_exactly(begins, ends, size) == fill_by_a_loop(ranges, size)

    @given(st.lists(st.integers(0, 3), max_size=6), st.randoms(use_true_random=False))
    def test_tiles_in_any_order_fill_exactly(self, lengths: list[int], random: object) -> None:
        edges = [sum(lengths[:n]) for n in range(len(lengths) + 1)]
        ranges = list(itertools.pairwise(edges))
        random.shuffle(ranges)  # type: ignore[attr-defined]
        begins, ends = (array("q", [pair[n] for pair in ranges]) for n in (0, 1))
        assert columns.fill_exactly(begins, ends, edges[-1])

    @given(st.lists(st.integers(0, 60), unique=True))
    def test_each_beginning_is_followed_by_the_next_larger_one(self, begins: list[int]) -> None:
        found = columns.successors(array("q", begins), 61)
        larger = ([each for each in begins if each > begin] for begin in begins)
        assert list(found) == [min(each, default=61) for each in larger]

    @given(st.lists(st.text(max_size=2)))
    def test_keys_are_distinct(self, keys: list[str]) -> None:
        assert columns.are_distinct(keys) == (len(set(keys)) == len(keys))


def test_equal_hashes_are_not_equal_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    class Text(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 1

    monkeypatch.setattr(columns, "MANY", 0)
    assert columns.are_distinct([Text("a"), Text("b")])
    assert not columns.are_distinct([Text("a"), Text("a")])
