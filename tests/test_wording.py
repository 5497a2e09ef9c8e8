"""Singular and plural, and the first few of many."""

from __future__ import annotations

import pytest

from caten_sd.wording import counted, first_few


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys"), (1234, "1,234 keys")]
)
def test_only_one_is_singular(count: int, text: str) -> None:
    assert counted(count, "key") == text


def test_a_plural_that_is_not_regular_is_given() -> None:
    assert counted(1, "axis", "axes") == "1 axis"
    assert counted(2, "axis", "axes") == "2 axes"


@pytest.mark.parametrize(
    ("texts", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more")],
)
def test_only_what_is_left_out_is_counted(texts: list[str], text: str) -> None:
    assert first_few(texts, 2) == text


def test_the_rest_takes_a_noun_in_its_number() -> None:
    assert first_few("abc", 2, "pattern") == "a, b and 1 more pattern"
    assert first_few("abcd", 2, "pattern") == "a, b and 2 more patterns"
