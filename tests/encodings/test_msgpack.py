from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.msgpack import (
    Cursor,
    Payload,
    pack_count,
    pack_ext,
    pack_size,
    pack_text,
)
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
)


def cursor_of(data: bytes) -> Cursor:
    return Cursor(Source("w.msgpack", BytesBacking(data), 0, len(data)))


@given(plain, st.booleans())
def test_every_plain_value_reads_as_msgpack_reads_it(value: Any, single: bool) -> None:
    data = msgpack.packb(value, use_single_float=single)
    cursor = cursor_of(data)
    assert cursor.value() == msgpack.unpackb(data)
    assert cursor.at == len(data)


@given(plain, st.integers(0), st.binary(min_size=1, max_size=3))
def test_no_damage_gets_past_the_library(value: Any, at: int, patch: bytes) -> None:
    data = msgpack.packb(value)
    at %= len(data)
    for damaged in (data[:at], data[:at] + patch + data[at:], data[:at] + patch + data[at + 1 :]):
        cursor = cursor_of(damaged)
        with contextlib.suppress(FormatError):
            cursor.value()
        assert cursor.at <= len(damaged)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536])
def test_heads_are_those_of_msgpack(size: int) -> None:
    assert pack_size("bin", size) + bytes(size) == msgpack.packb(bytes(size))
    assert pack_size("array", size) + bytes(size) == msgpack.packb([0] * size)
    assert msgpack.packb(dict.fromkeys(range(size), 0)).startswith(pack_size("map", size))
    assert pack_text("x" * size) == msgpack.packb("x" * size)
    assert pack_count(size) == msgpack.packb(size)
    if size:
        ext = msgpack.ExtType(1, bytes(size))
        assert pack_ext(1, size) + bytes(size) == msgpack.packb(ext)


def test_payloads_are_jumped_over() -> None:
    class Counting(BytesBacking):
        taken = 0

        def read(self, start: int, count: int) -> bytes:
            Counting.taken += count
            return super().read(start, count)

    data = msgpack.packb([bytes(1 << 20), msgpack.ExtType(5, bytes(1 << 20)), 7])
    cursor = Cursor(Source("w", Counting(data), 0, len(data)))
    first, second, third = cursor.value()
    assert first == Payload(None, 6, 1 << 20)
    assert second == Payload(5, 12 + (1 << 20), 1 << 20)
    assert third == 7
    assert Counting.taken < 20_000


def test_the_memory_of_containers_is_bounded() -> None:
    with pytest.raises(FormatError, match="over 64 MB and 8 times the 600,005 bytes"):
        cursor_of(msgpack.packb([[1]] * 300_000)).value()


@given(st.recursive(st.integers(-40, 300) | st.sampled_from([None, True, "", "a"]), st.lists))
def test_runs_of_short_values_are_read_as_msgpack_reads_them(value: Any) -> None:
    assert cursor_of(data := msgpack.packb(value)).value() == msgpack.unpackb(data)


@pytest.mark.parametrize("size", [4095, 4096, 4097, 70_000])
def test_a_run_of_short_values_goes_on_after_what_is_read_at_once(size: int) -> None:
    given = [n % 100 - 32 if n % 5000 else [] for n in range(size)]
    assert cursor_of(msgpack.packb([given, 1])).value() == [given, 1]
