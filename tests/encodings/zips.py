"""Zip files for the tests of the directory and of the members, and how to patch them."""

from __future__ import annotations

import io
import zipfile

from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

BODY = b"some bytes, some bytes, some bytes"


def source_of(data: bytes) -> Source:
    return Source("a.zip", BytesBacking(data), 0, len(data))


def zip_of(*members: tuple[str, bytes], force_zip64: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        for name, data in members:
            with writer.open(zipfile.ZipInfo(name), "w", force_zip64=force_zip64) as member:
                member.write(data)
    return file.getvalue()


def deflated(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, data in members:
            writer.writestr(name, data)
    return file.getvalue()


def patched(data: bytes, magic: bytes, at: int, new: bytes) -> bytes:
    start = data.index(magic) + at
    return data[:start] + new + data[start + len(new) :]


def central(data: bytes, at: int, new: bytes) -> bytes:
    return patched(data, b"PK\1\2", at, new)


def end_record(data: bytes, at: int, new: bytes) -> bytes:
    return patched(data, b"PK\5\6", at, new)


GOOD = zip_of(("w", BODY))
TWO = zip_of(("one", BODY), ("two", BODY))
