"""Which patterns are held apart by arithmetic and conditions on their indices."""

import pytest

from caten_sd.mapping.overlap import candidates, overlap
from caten_sd.mapping.patterns import pattern


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("b.{2*i}.w", ""), ("b.{2*i+1}.w", "")),
        (("b.{i+1}.w", ""), ("b.0.w", "")),
        (("b.{i+16}", ""), ("b.{i}", "i < 16")),
        (("b.{i+n_low}", ""), ("b.{i}", "i < n_low")),
        (("b.{i}", "i < n_dense"), ("b.{i}", "i >= n_dense")),
        (("b.{i}", "i % 3 == 2"), ("b.{i}", "i % 3 != 2")),
        (("b.{3*a+1}.{p:w|x}", ""), ("b.{3*a+3}.{p:w|x}", "")),
        (("b.{i}", "i < 1000"), ("b.1000", "")),
    ],
)
def test_rows_that_arithmetic_or_conditions_hold_apart(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = pattern(one[0], ".", one[1]), pattern(other[0], ".", other[1])
    assert not overlap(first, second)
    assert not overlap(second, first)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("b.{2*i}.w", ""), ("b.{3*i+1}.w", "")),
        (("b.{i+16}", ""), ("b.{i}", "i < 17")),
        (("b.{i+n_low}", ""), ("b.{i}", "i <= n_low")),
        (("b.{i}", "i % 2 == 0"), ("b.{i}", "i % 3 == 0")),
        (("b.{i}", "i > 1000"), ("b.{i}", "i == 1002")),
        (("b.{i}", "i < 3"), ("b.2", "")),
        (("{path...}.w", ""), ("a.{i}.w", "i < 3")),
        (("{path...}.w", ""), ("a.{rest...}", "")),
    ],
)
def test_rows_that_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = pattern(one[0], ".", one[1]), pattern(other[0], ".", other[1])
    assert overlap(first, second)
    assert overlap(second, first)
    assert candidates([first, second]) == [(0, 1)]


def test_literal_rows_are_not_tried_in_pairs() -> None:
    many = [pattern(f"blocks.{n}.{part}") for n in range(500) for part in ("w", "b")]
    assert candidates(many) == []
    assert len(candidates([*many, pattern("blocks.{i}.w"), pattern("blocks.7.b")])) == 501
