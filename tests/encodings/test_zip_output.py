from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings import zip_output
from caten_sd.encodings.zip_archive import ZipArchive
from caten_sd.encodings.zip_output import ZipOutput
from caten_sd.errors import StateDictError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source


def written(members: dict[str, bytes], **options: Any) -> bytes:
    file = io.BytesIO()
    output = ZipOutput(file, **options)
    for name, data in members.items():
        output.add(name, len(data), [data[:3], memoryview(data[3:])])
    output.finish()
    return file.getvalue()


@given(st.dictionaries(st.text("abé/", min_size=1, max_size=9), st.binary(max_size=99), max_size=9))
def test_zipfile_and_we_read_what_is_written(members: dict[str, bytes]) -> None:
    members = {f"x{name}x": data for name, data in members.items()}
    data = written(members)
    assert data == written(members)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == members
    archive = ZipArchive(Source("a.zip", BytesBacking(data), 0, len(data)))
    assert {name: archive.read(name, limit=99) for name in archive.names()} == members


@pytest.mark.parametrize("alignment", [1, 64, 4096])
def test_members_are_aligned(alignment: int) -> None:
    data = written({"a": b"first", "bcd": b"second", "": b""} | {"z": b"last"}, alignment=alignment)
    for part in (b"first", b"second", b"last"):
        assert data.index(part) % alignment == 0


def test_sizes_and_offsets_beyond_32_bits_go_to_64_bit_fields(monkeypatch: Any) -> None:
    # The format has one limit for all sizes: a small one shows what 4 GB would.
    members = {"small": b"x", "large": b"y" * 5000, "after": b"z" * 3}
    monkeypatch.setattr(zip_output, "FULL32", 1000)
    data = written(members)
    assert data.count(b"PK\6\6") == data.count(b"PK\6\7") == 1
    patched = data.replace((1000).to_bytes(4, "little"), b"\xff\xff\xff\xff")
    with zipfile.ZipFile(io.BytesIO(patched)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == members
        assert opened.getinfo("after").header_offset > 5000
    archive = ZipArchive(Source("a.zip", BytesBacking(patched), 0, len(patched)))
    assert {name: archive.read(name, limit=5000) for name in archive.names()} == members


def test_more_members_than_16_bits_count() -> None:
    data = written({str(number): b"" for number in range(70_000)}, alignment=1)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert len(opened.namelist()) == 70_000
    archive = ZipArchive(Source("a.zip", BytesBacking(data), 0, len(data)))
    assert len(archive.names()) == 70_000


@pytest.mark.parametrize("pieces", [[b"abc"], [b"ab", b"cde"]])
def test_a_member_of_another_size_than_said_is_an_error(pieces: list[bytes]) -> None:
    with pytest.raises(StateDictError, match=f"has {len(b''.join(pieces))} bytes.* 4"):
        ZipOutput(io.BytesIO()).add("w", 4, pieces)


def test_the_checksum_is_that_of_all_pieces() -> None:
    with zipfile.ZipFile(io.BytesIO(written({"w": b"pieces"}))) as opened:
        assert zlib.crc32(b"pieces") == opened.getinfo("w").CRC
