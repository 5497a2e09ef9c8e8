from __future__ import annotations

import random

import pytest

from caten_sd.formats.orbax.crc32c import crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    # RFC 3720, B.4
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(32))[::-1], 0x113FDB5C),
        (b"", 0),
    ],
)
def test_known_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 100_003])
def test_long_texts_have_the_value_that_bytes_one_by_one_have(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(size).randbytes(size)
    fast = crc32c(data)
    monkeypatch.setattr("caten_sd.formats.orbax.crc32c._LONG", 1 << 30)
    assert fast == crc32c(data)
