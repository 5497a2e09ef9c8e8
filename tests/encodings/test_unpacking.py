from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.unpacking import GRACE, Unpacking, compression
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

PACKERS: list[Any] = [gzip.compress, bz2.compress, lzma.compress]
BODY = os.urandom(1000) + bytes(700_000) + os.urandom(1000)


def stream_of(data: bytes) -> Unpacking:
    return Unpacking(Source("a.gz", BytesBacking(data), 0, len(data)))


@pytest.mark.parametrize("pack", PACKERS)
def test_what_was_packed_comes_out_in_any_steps(pack: Any) -> None:
    stream = stream_of(pack(BODY[:300_000]) + pack(BODY[300_000:]))
    parts = [stream.take(10), stream.take(400_000)]
    stream.skip_to(stream.at + 100)
    parts.append(stream.take(len(BODY) - stream.at))
    assert parts == [BODY[:10], BODY[10:400_010], BODY[400_110:]]
    assert stream.is_at_end()
    with pytest.raises(FormatError, match="1 byte short"):
        stream.take(1)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_truncated_stream_says_so(pack: Any) -> None:
    data = pack(os.urandom(100_000))
    for cut in (20, 5000, len(data) - 1):
        stream = stream_of(data[:cut])
        with pytest.raises(FormatError, match="too early"):
            stream.drain(1 << 20)


@given(st.sampled_from(PACKERS), st.integers(0), st.binary(min_size=1, max_size=3))
def test_no_damage_gets_past_the_library(pack: Any, at: int, patch: bytes) -> None:
    data = pack(bytes(range(256)) * 4)
    at %= len(data)
    damaged = data[:6] + (data[:at] + patch + data[at + len(patch) :])[6:]
    with contextlib.suppress(FormatError):
        stream_of(damaged).drain(1 << 20)


def test_zeros_behind_gzip_are_padding() -> None:
    stream = stream_of(gzip.compress(b"text") + bytes(512))
    assert stream.take(4) == b"text"
    assert stream.is_at_end()


def test_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caten_sd.encodings.unpacking.GRACE", 1 << 16)
    stream = stream_of(gzip.compress(bytes(10 << 20)))
    with pytest.raises(FormatError, match="over 200 times its size"):
        stream.drain(GRACE)
    assert stream.at < 4 << 20


def test_a_file_that_is_not_compressed() -> None:
    assert compression(Source("a", BytesBacking(b"PK"), 0, 2)) is None
