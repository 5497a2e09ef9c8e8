"""Keys that differ in an index only are one pattern, in the order of their first members."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.state.grouping import few_keys, group_keys

parts = st.sampled_from(["h", "0", "1", "10", "w", "b", "attn"])
keys = st.lists(st.lists(parts, min_size=1, max_size=4).map(".".join), unique=True, max_size=30)


@pytest.mark.parametrize(
    ("given_keys", "expected"),
    [
        (["h.0.w", "h.1.w", "h.2.w"], ["h.{0..2}.w x3"]),
        (["h.0.w", "h.2.w", "h.5.w"], ["h.{0,2,5}.w x3"]),
        (["h.9.w", "h.10.w", "h.11.w"], ["h.{9..11}.w x3"]),
        (["a.weight", "a.bias"], ["a.{weight,bias} x2"]),
        (["w", "b"], ["w", "b"]),
        (["h.0.w", "h.1.w", "h.0.b"], ["h.{0..1}.w x2", "h.0.b"]),
        (["h.0.1.w", "h.0.2.w", "h.1.1.w", "h.1.2.w"], ["h.{0..1}.{1..2}.w x4"]),
        (["conv2d.w", "conv3d.w"], ["conv2d.w", "conv3d.w"]),
        (["0", "1", "2"], ["{0..2} x3"]),
        ([], []),
    ],
)
def test_patterns(given_keys: list[str], expected: list[str]) -> None:
    assert [str(group) for group in group_keys(given_keys)] == expected


@given(keys)
def test_every_key_is_in_one_group(given_keys: list[str]) -> None:
    grouped = [key for group in group_keys(given_keys) for key in group.keys]
    assert sorted(grouped) == sorted(given_keys)


def test_a_pattern_does_not_claim_indices_that_are_not_there() -> None:
    """0.1 and 1.0 are two keys; ``{0..1}.{0..1}`` would be four."""
    texts = [str(group) for group in group_keys(["h.0.1.w", "h.1.0.w"])]
    assert texts != ["h.{0..1}.{0..1}.w x4"]
    assert sum(int(text.rpartition(" x")[2]) if " x" in text else 1 for text in texts) == 2


@pytest.mark.parametrize("number", ["#", "9" * 5_000, "٣", "", "{0..1}"])
def test_odd_segments_are_listed_like_others(number: str) -> None:
    given_keys = [f"h.{number}.w", "h.0.w", f"h.{number}1.w"]
    assert [key for group in group_keys(given_keys) for key in group.keys] != []
    assert len(few_keys(given_keys)) < 1_000
