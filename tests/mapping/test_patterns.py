import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LayoutError
from caten_sd.mapping.overlap import candidates, overlap
from caten_sd.mapping.patterns import pattern
from caten_sd.mapping.templates import Finder, Matcher


def find(text: str, key: str) -> list[dict[str, str]]:
    return [captured for _, captured in Finder(Matcher([(pattern(text), None)])).find(key)]


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
    "text",
    ["", "a..b", "a.", ".a", "a.{i}{part}", "a.{}", "a.{i", "a.{i}.{i}", "a b", "a.*", "{1}"],
)
def test_what_is_not_a_pattern_is_refused(text: str) -> None:
    with pytest.raises(LayoutError):
        pattern(text)


def test_a_matcher_finds_every_pattern_that_matches() -> None:
    texts = ["h.{i}.w", "h.0.w", "{part}.{i}.w", "h.{i}.b"]
    matcher = Matcher([(pattern(text), text) for text in texts])
    assert {text for text, _ in Finder(matcher).find("h.0.w")} == {
        "h.{i}.w",
        "h.0.w",
        "{part}.{i}.w",
    }


@pytest.mark.parametrize(
    ("text", "key", "captured"),
    [
        ("layer_{i}/w", "layer_3/w", {"i": "3"}),
        ("h{i}/{name}_kernel", "h0/c_attn_kernel", {"i": "0", "name": "c_attn"}),
        ("{name}_{i}_{j}", "conv1_2_30", {"name": "conv1", "i": "2", "j": "30"}),
        ("w{part:1|3}x", "w3x", {"part": "3"}),
        ("unet/{path...}/up", "unet/down/0/attn/up", {"path": "down.0.attn"}),
        ("blk.{i+1}", "blk.1", {"i": "0"}),
        ("u_{path..._}.up", "u_down_0_q.up", {"path": "down_0_q"}),
        ("in.{3*a+j+1}.0", "in.8.0", {"a": "2", "j": "1"}),
    ],
)
def test_a_capture_may_be_part_of_a_segment_or_several(
    text: str, key: str, captured: dict[str, str]
) -> None:
    separator = "/" if "/" in text else "."
    known = pattern(text, separator)
    assert [found for _, found in Finder(Matcher([(known, None)], separator)).find(key)] == [
        captured
    ]
    assert known.key(captured) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("layer_{i}", "layer_03"),
        ("layer_{i}", "layer_x"),
        ("{name}_{i}", "3_4"),
        ("w{part:1|3}", "w2"),
        ("{path...}.w", "w"),
        ("{path...}.w", "a..w"),
        ("blk.{i+1}", "blk.0"),
        ("blk.{2*i}", "blk.3"),
        ("h.0.w", "h.1.w"),
        ("h.{i}", "h.\x00"),
        ("{path...}", "a\x00"),
    ],
)
def test_what_does_not_match(text: str, key: str) -> None:
    assert find(text, key) == []


def test_a_path_whose_names_hold_the_separator_is_refused() -> None:
    known = pattern("unet/{path...}", "/")
    with pytest.raises(LayoutError, match=r"'a/b\.c' holds '/'"):
        known.key({"path": "a/b.c"})
    assert Finder(Matcher([(known, None)], "/")).find("unet/a/b.c") == []


@pytest.mark.parametrize(
    "text",
    [
        "{path..._}_{name}",
        "{i}{j}",
        "{name}{i}",
        "{i}2",
        "x1{i}",
        "{one}_{two}",
        "a{path...}",
        "{a_...}.{b_...}",
    ],
)
def test_a_segment_that_matches_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(LayoutError):
        pattern(text)


@pytest.mark.parametrize(
    "text", ["{i*2}", "{3*a+2*j}", "{i+i}", "{2*n_x}", "{-i}", "{0*i}", "{i+}"]
)
def test_arithmetic_that_does_not_give_its_indices_back_is_refused(text: str) -> None:
    with pytest.raises(LayoutError, match="as in"):
        pattern(text)


def test_arithmetic_says_where_an_index_has_no_place() -> None:
    with pytest.raises(LayoutError, match=r"\{3\*a\+j\} has no place for a 1 and j 3"):
        pattern("{3*a+j}").key({"a": 1, "j": 3})


def test_a_condition_is_one_on_a_captured_index() -> None:
    known = pattern("h.{i}", ".", "i % 2 == 1 and i < n_dense")
    matcher = Matcher([(known, None)])
    finder = Finder(matcher, {"n_dense": 4}.__getitem__)
    assert [n for n in range(8) if finder.find(f"h.{n}")] == [1, 3]
    for where in ("part == 2", "i ~ 2", "i < j", "i % 0 == 1", "j < 2"):
        with pytest.raises(LayoutError):
            pattern("h.{i}", ".", where)


SEGMENTS = [
    *["a", "b", "0", "1", "{i}", "{part}", "{kind:a|0}", "{path...}"],
    *["a_{j}", "a_1", "{name}_0", "{e}_{other}", "a1", "{f+1}", "{2*g}", "a_{road..._}"],
]
TEXTS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3, unique=True).map(".".join)
WORDS = ["a", "b", "c", "0", "1", "2", "a_1", "a_2", "a_0", "1_0", "a1", "a1_0", "c_b"]
KEYS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)


@given(TEXTS, TEXTS, st.lists(KEYS, max_size=60))
def test_patterns_that_do_not_overlap_share_no_key(
    one: str, other: str, keys: list[list[str]]
) -> None:
    shared = [k for k in map(".".join, keys) if find(one, k) and find(other, k)]
    overlaps = overlap(pattern(one), pattern(other))
    assert overlaps == overlap(pattern(other), pattern(one))
    assert overlaps or not shared
    assert not overlaps or candidates([pattern(one), pattern(other)]) == [(0, 1)]


@given(TEXTS, KEYS)
def test_a_key_comes_back_from_what_was_captured(text: str, parts: list[str]) -> None:
    for captured in find(text, ".".join(parts)):
        assert pattern(text).key(captured) == ".".join(parts)


@given(st.lists(TEXTS, max_size=6), KEYS)
def test_many_patterns_are_found_as_each_alone(texts: list[str], parts: list[str]) -> None:
    key = ".".join(parts)
    finder = Finder(Matcher([(pattern(text), text) for text in texts]))
    for _ in range(2):  # the second time from what the template gave
        found = sorted((text, sorted(captured.items())) for text, captured in finder.find(key))
        alone = ((t, sorted(c.items())) for t in texts for c in find(t, key))
        assert found == sorted(alone)
