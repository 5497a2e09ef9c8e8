import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LayoutError
from caten_sd.mapping.patterns import Matcher, pattern


def find(text: str, key: str) -> list[dict[str, str]]:
    return [captured for _, captured in Matcher([(pattern(text), None)]).find(key)]


def test_a_pattern_takes_whole_segments_and_is_anchored() -> None:
    assert find("h.{i}.attn.{part}", "h.10.attn.bias") == [{"i": "10", "part": "bias"}]
    for key in (
        "h.10.attn",
        "h.10.attn.bias.x",
        "x.h.10.attn.bias",
        "hh.10.attn.bias",
        "h.10.attn_bias",
    ):
        assert find("h.{i}.attn.{part}", key) == []


@pytest.mark.parametrize("index", ["", "01", "-1", "+1", "1_0", "x", "²", "٣", "9" * 5000])
def test_an_index_is_written_as_it_would_be_read(index: str) -> None:
    assert find("h.{i}", f"h.{index}") == []


@pytest.mark.parametrize("name", ["3", "", "a b", "-a", "a/b"])
def test_a_name_is_not_an_index(name: str) -> None:
    assert find("h.{part}", f"h.{name}") == []
    assert find("h.{part}", "h.c_attn-1") == [{"part": "c_attn-1"}]


def test_choices_are_the_only_ones() -> None:
    assert find("w.{part:weight|bias}", "w.bias") == [{"part": "bias"}]
    assert find("w.{part:weight|bias}", "w.scale") == []


@pytest.mark.parametrize(
    "text", ["", "a..b", "a.", ".a", "a.{i}x", "a.{}", "a.{i", "a.{i}.{i}", "a b", "a.*", "{1}"]
)
def test_what_is_not_a_pattern_is_refused(text: str) -> None:
    with pytest.raises(LayoutError):
        pattern(text)


def test_a_matcher_finds_every_pattern_that_matches() -> None:
    texts = ["h.{i}.w", "h.0.w", "{part}.{i}.w", "h.{i}.b"]
    matcher = Matcher([(pattern(text), text) for text in texts])
    assert {text for text, _ in matcher.find("h.0.w")} == {"h.{i}.w", "h.0.w", "{part}.{i}.w"}


SEGMENTS = ["a", "b", "0", "1", "{i}", "{part}", "{kind:a|0}"]
TEXTS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3, unique=True).map(".".join)
KEYS = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "2"]), min_size=1, max_size=3)


@given(TEXTS, TEXTS, st.lists(KEYS, max_size=40))
def test_patterns_that_do_not_overlap_share_no_key(
    one: str, other: str, keys: list[list[str]]
) -> None:
    shared = [k for k in map(".".join, keys) if find(one, k) and find(other, k)]
    overlaps = pattern(one).overlaps(pattern(other))
    assert overlaps == pattern(other).overlaps(pattern(one))
    assert overlaps or not shared


@given(TEXTS, KEYS)
def test_a_key_comes_back_from_what_was_captured(text: str, parts: list[str]) -> None:
    for captured in find(text, ".".join(parts)):
        assert pattern(text).key(captured) == ".".join(parts)
