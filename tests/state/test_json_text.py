from __future__ import annotations

import json
import tracemalloc

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.json_hooks import unique
from caten_sd.state import json_text
from caten_sd.state.json_text import parse_json

N = 20_000
VALUES = {
    "texts": ["ab"] * N,
    "long texts": ["a text of some words"] * N,
    "numbers": [300] * N,
    "small numbers": [1] * N,
    "negative numbers": [-6] * N,
    "decimals": [0.25] * N,
    "constants": [None, True] * N,
    "lists": [[1]] * N,
    "empty lists": [[]] * N,
    "empty dicts": [{}] * N,
    "pairs": [{"a": 1}] * N,
    "dicts": [{"a": 1, "b": "x", "c": [2], "d": {}, "e": None, "f": 0.5}] * N,
    "keys": {f"{n:x}": 1 for n in range(N)},
    "keys of texts": {f"layers.{n}.weight": f"file {n}" for n in range(N)},
    "quotes": ['"[{:,'] * N,
    "quotes in keys": {f'"{n}\\': 1 for n in range(N)},
    "wide": ["\U0001f600" + "a" * 100 * N],
}


@pytest.mark.parametrize("hook", [None, unique])
@pytest.mark.parametrize("name", VALUES)
def test_what_is_counted_is_what_parsing_takes(name: str, hook: object) -> None:
    text = json.dumps(VALUES[name], separators=(",", ":"), ensure_ascii=False).encode()
    width = json_text._width(text) * len(text)
    counted = json_text._exactly(text, N + 1) + 2 * width
    tracemalloc.start()
    assert parse_json("a.json", text, hook) == VALUES[name]
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken <= 1.3 * counted + 100_000
    assert counted <= json_text._most(text) + 2 * width + 100
    assert counted <= 8 * taken + 100_000


@pytest.mark.slow
@pytest.mark.parametrize("value", [["ab"], [300], [[]], [{}], [{"a": 1}], [-6]])
def test_millions_of_values_are_refused_before_they_are_made(value: list[object]) -> None:
    count = 6_000_000 if value in ([300], [-6]) else 2_000_000
    text = json.dumps(value * count, separators=(",", ":")).encode()
    tracemalloc.start()
    with pytest.raises(FormatError, match=rf"a\.json: .* {len(text):,} bytes"):
        parse_json("a.json", text)
    assert tracemalloc.get_traced_memory()[1] < 3 * len(text) + (1 << 20)
    tracemalloc.stop()


def test_names_that_are_used_again_are_counted_once() -> None:
    log = [{"loss": 0.5, "step": n, "epoch": 1.0} for n in range(30_000)]
    assert parse_json("a.json", json.dumps(log).encode()) == log


@pytest.mark.parametrize("text", [b'"' * 9999, b'{"a":' * 9, b"\\" * 9999, b'"\\"' * 9999])
def test_what_is_not_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_json("a.json", text)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_json("a.json", b"\xef\xbb\xbf[1]") == [1]
