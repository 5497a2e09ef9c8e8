"""The members of an object, read one at a time, are those that json reads at once."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.errors import FormatError
from caten_sd.state import json_members
from caten_sd.state.json_members import members_of
from tests.properties import examples

NAMES = st.text('ab{}[]",:\\ é日😀\n', max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
FORMS = st.fixed_dictionaries(
    {
        "indent": st.none() | st.integers(0, 2),
        "separators": st.sampled_from([(",", ":"), (" ,\n", "\t: ")]),
        "ensure_ascii": st.booleans(),
    }
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(list(b'{}[]",:01.e-\\ \xc3\0'))))


def members(text: bytes, first: int) -> Any:
    """Return the members as read from parts of so few bytes, or None for no JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_members, "_FIRST", first)
        try:
            return list(members_of("a.json", text, json.JSONDecoder(object_pairs_hook=list)))
        except ValueError:
            return None


def as_json_reads(text: bytes) -> Any:
    try:
        decoded = text.decode()
        is_object = decoded.lstrip(" \t\n\r").startswith("{")
        return json.loads(decoded, object_pairs_hook=list) if is_object else None
    except ValueError:
        return None


@given(OBJECTS, FORMS, st.sampled_from([1, 2, 5, 60, 1 << 16]))
def test_members_are_those_of_json(tree: dict[str, Any], form: Any, first: int) -> None:
    text = json.dumps(tree, **form).encode()
    assert members(text, first) == as_json_reads(text)


@settings(max_examples=examples(300))
@given(OBJECTS, FORMS, CHANGES, st.sampled_from([1, 2, 5, 1 << 16]))
def test_damage_is_seen_where_json_sees_it(
    tree: dict[str, Any], form: Any, changes: list[tuple[float, int]], first: int
) -> None:
    text = bytearray(json.dumps(tree, **form).encode())
    for at, byte in changes:
        text[int(at * (len(text) - 1))] = byte
    assert members(bytes(text), first) == as_json_reads(bytes(text))


@pytest.mark.parametrize("end", [b"", b"}", b"  \n", b" x", b"\0", b',"b":2', b"\v"])
@pytest.mark.parametrize(
    "begin", [b'{"a":1}', b"{}", b"{ }", b"[]", b'{"a"', b"{1:2}", b"", b"\v{}"]
)
def test_only_spaces_follow_an_object(begin: bytes, end: bytes) -> None:
    for first in (1, 3, 1 << 16):
        assert members(begin + end, first) == as_json_reads(begin + end)


@pytest.mark.parametrize("first", [10, 1 << 16])
def test_what_is_wrong_has_its_place_in_the_text(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_members, "_FIRST", first)
    good = '{"é": 0, ' + '"a": [1, 2], ' * 9
    with pytest.raises(ValueError, match=f"Expecting value at character {len(good) + 5}"):
        list(members_of("a.json", f'{good}"b": ?}}'.encode(), json.JSONDecoder()))
    with pytest.raises(ValueError, match=f"byte {len(good) + 2} is not UTF-8"):
        list(members_of("a.json", good.encode() + b'"\xff": 1}', json.JSONDecoder()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "values", [{f"{n:x}": "a" for n in range(600_000)}, {"x": [{}] * 1_200_000}]
)
def test_a_member_of_a_million_texts_is_refused(values: object) -> None:
    text = json.dumps({"a": values}, separators=(",", ":")).encode()
    with pytest.raises(FormatError, match=rf"a\.json: .* {len(text):,} bytes"):
        list(members_of("a.json", text, json.JSONDecoder()))


def test_small_members_are_dropped_before_the_next_are_made() -> None:
    text = json.dumps({str(n): {"a": [n]} for n in range(10_000)}).encode()
    tracemalloc.start()
    assert (
        sum(value["a"][0] for _, value in members_of("a", text, json.JSONDecoder())) == 49_995_000
    )
    assert tracemalloc.get_traced_memory()[1] < 400_000
    tracemalloc.stop()
