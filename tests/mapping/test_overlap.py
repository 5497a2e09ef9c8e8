"""Which patterns are held apart by arithmetic and conditions on their indices."""

import time

import pytest

from caten_sd.errors import LayoutError
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
        (("b.{a}.{i}.{j}.{k}.{l}", "i < 1"), ("b.{a}.{i}.{j}.{k}.{l}", "i > 0")),
        (("b.{i}.{j}.{k}", "i < 1 and j < 90"), ("b.{a}.{2*b}.{c}", "a > 0 and c > 70")),
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
        (("b.{i}.{j}.{k}", "i < 3"), ("b.{i}.{j}.{k}", "j > 90")),
        (
            ("b.{i}.{j}.{k}", "i > 99 and j > 98 and k > 97"),
            ("b.{i}.{j}.{k}", "i > 97 and j > 98 and k > 99"),
        ),
        (("b.{i}.70.{k}", "i < 3"), ("b.{2*i}.{j}.{k}", "k > 90")),
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
    twice = [pattern(f"experts.{n}.w") for n in range(12_000)] * 2
    assert len(candidates(twice)) == 12_000
    assert len(candidates([*many, pattern("blocks.{i}.w"), pattern("blocks.7.b")])) == 501


def test_no_number_of_captures_takes_long() -> None:
    indices = "abcdefghijklmnop"
    text = ".".join(f"{{{each}}}" for each in indices)
    low = pattern(text, ".", " and ".join(f"{each} < 1" for each in indices))
    high = pattern(text, ".", " and ".join(f"{each} > 0" for each in indices))
    start = time.process_time()
    assert not overlap(low, high)
    assert overlap(low, pattern(text, ".", "a < 2"))
    assert time.process_time() - start < 5


def test_names_that_are_alike_in_too_many_pairs_are_refused() -> None:
    many = [pattern(f"a.{n}.b{{i}}", ".", "i > 500") for n in range(150)]
    many += [pattern(f"a.{{i}}.b{n}", ".", "i > 500") for n in range(150)]
    with pytest.raises(LayoutError, match=r"10,000 pairs.*a\.[0-9]+\.b.*\{i\}"):
        candidates(many)
