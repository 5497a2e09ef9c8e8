"""The other spelling of the other spelling is the first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.loading.spellings import spellings

OLD = ["weight_g", "weight_v", "weight_orig", "weight_u", "a.b.bias_g", "weight_hh_l0_v"]
keys = st.lists(st.from_regex(r"[a-z_0-9]{1,8}", fullmatch=True), min_size=1, max_size=4)


@pytest.mark.parametrize("old", OLD)
def test_there_and_back(old: str) -> None:
    news = spellings(old)
    assert news
    assert all(old in spellings(new) for new in news)


@given(keys.map(".".join))
def test_a_spelling_is_never_the_key_itself_and_comes_back(key: str) -> None:
    for other in spellings(key):
        assert other != key
        assert key in spellings(other)


@pytest.mark.parametrize("key", ["weight", "g", "_g", "a.v", "parametrizations.weight", ""])
def test_what_has_no_other_spelling(key: str) -> None:
    assert spellings(key) == []
