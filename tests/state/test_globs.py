from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import StateDictError
from caten_sd.state.globs import chosen_keys

KEYS = ["wte.weight", "h.0.attn.w", "h.0.attn.b", "h.1.attn.w", "h.1.attn.b", "H.x"]


@pytest.mark.parametrize(
    ("patterns", "exclude", "expected"),
    [
        ((), (), KEYS),
        ("*", (), KEYS),
        ("wte.weight", (), ["wte.weight"]),
        (["h.1.*", "wte*"], (), ["wte.weight", "h.1.attn.w", "h.1.attn.b"]),
        ("h.*", "*.b", ["h.0.attn.w", "h.1.attn.w"]),
        ((), ["h.*", "H.*"], ["wte.weight"]),
        (iter(["h.?.attn.[wb]"]), iter(["h.0.*"]), ["h.1.attn.w", "h.1.attn.b"]),
        ("h.*", "*", []),
    ],
)
def test_keys_keep_their_order(patterns: Any, exclude: Any, expected: list[str]) -> None:
    assert chosen_keys(KEYS, patterns, exclude) == expected


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("h", r"for the keys below it write 'h\.\*'"),
        ("h.0.", r"for the keys below it write 'h\.0\.\*'"),
        ("h.3.atn.w", r"near it are h\.\*\.attn\.w, h\.\*\.attn\.b"),
        ("zzz", r"the keys are wte\.weight, h\.\{0\.\.1\}\.attn\.\{w,b\} x4, H\.x"),
    ],
)
@pytest.mark.parametrize("option", ["patterns", "exclude"])
def test_a_pattern_without_a_key_names_those_near_it(pattern: str, hint: str, option: str) -> None:
    with pytest.raises(StateDictError, match=f"no key matches the pattern '{pattern}'; {hint}$"):
        chosen_keys(KEYS, **{option: [pattern]})


def test_without_keys_no_pattern_matches() -> None:
    assert chosen_keys([]) == []
    with pytest.raises(StateDictError, match=r"'\*'; there are no keys"):
        chosen_keys([], "*")


def test_a_list_among_the_patterns_is_refused() -> None:
    with pytest.raises(StateDictError, match="a text, not a list; give each by itself"):
        chosen_keys(KEYS, [["h.*"]])  # type: ignore[list-item]


@given(st.lists(st.text("ah.*?[]!", max_size=5), unique=True), st.text("ah.*?[]!", max_size=4))
def test_a_pattern_means_what_fnmatch_says_that_it_means(keys: list[str], pattern: str) -> None:
    expected = [key for key in keys if fnmatchcase(key, pattern)]
    if expected:
        assert chosen_keys(keys, pattern) == expected
        assert chosen_keys(keys, exclude=pattern) == [key for key in keys if key not in expected]
    else:
        with pytest.raises(StateDictError, match=r"no key matches|there are no keys"):
            chosen_keys(keys, pattern)
