from __future__ import annotations

import contextlib
import io
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.encodings.tar_headers import BLOCK, SourceStream, TarMember, is_tar, tar_members
from caten_sd.errors import FormatError
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source
from tests.properties import examples

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "a/" * 60 + "weights.ckpt"


def tar_of(*members: tuple[str, Any], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return file.getvalue()


def members_of(data: bytes) -> list[TarMember]:
    return list(tar_members(SourceStream(Source("a.tar", BytesBacking(data), 0, len(data)))))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """Return the tar with a part of its first header changed, its checksum made right again."""
    head = bytearray(data[:BLOCK])
    head[at : at + len(new)] = new
    head[148:156] = b"        "
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + data[BLOCK:]


@pytest.mark.parametrize("form", FORMATS)
def test_members_are_where_tarfile_puts_them(form: int) -> None:
    given = [("./config.yaml", b"x" * 600), ("./" + LONG, b"y" * 512), ("empty", b"")]
    data = tar_of(*given, form=form)
    found = members_of(data)
    assert [member.name for member in found] == ["config.yaml", LONG, "empty"]
    for member, (_, content) in zip(found, given, strict=True):
        assert member.kind == "file"
        assert data[member.offset : member.offset + member.size] == content
    assert is_tar(data)


def test_kinds() -> None:
    found = members_of(
        tar_of(
            ("d/", (tarfile.DIRTYPE, "")),
            ("s", (tarfile.SYMTYPE, "/etc/passwd")),
            ("h", (tarfile.LNKTYPE, "d")),
            ("c", (tarfile.CHRTYPE, "")),
            ("f", (tarfile.FIFOTYPE, "")),
        )
    )
    assert [member.kind for member in found] == ["folder", "link", "link", "device", "device"]


def test_a_size_in_binary_and_in_pax_records() -> None:
    data = tar_of(("w", b"x" * 700))
    assert members_of(patched(data, 124, b"\x80" + (700).to_bytes(11, "big")))[0].size == 700
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("w")
        info.size, info.pax_headers = 700, {"size": "700", "mtime": "nan", "GNU.x": "y"}
        tar.addfile(info, io.BytesIO(b"x" * 700))
    assert members_of(file.getvalue())[0].size == 700


W = tar_of(("w", b"x" * 700))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (W[:100], "bytes short"),
        (W[:600], "bytes short"),
        (W[:BLOCK], "bytes short"),
        (W[: 3 * BLOCK], "without a tar's end mark"),
        (W[:148] + b"0000000\0" + W[156:], "wrong checksum"),
        (patched(W, 124, b"-0000001000\0"), "a member's size is"),
        (patched(W, 124, b"\xff" * 12), "size is negative"),
        (patched(W, 124, b"\x80" + b"\x7f" * 11), "negative|bytes short"),
        (patched(W, 0, b"../up\0"), "leads out"),
        (patched(W, 0, b"/abs\0"), "leads out"),
        (patched(W, 0, b"a\\b\0"), "leads out"),
        (patched(W, 0, b"\xff\xfe\0"), "not UTF-8"),
        (patched(W, 156, b"x"), "pax records are malformed"),
        (patched(patched(W, 156, b"L"), 124, b"77777777777\0"), "over the limit"),
    ],
)
def test_what_tar_does_not_write_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        members_of(data)


@pytest.mark.parametrize("size", ["-5", "", "1e9", "9" * 30, "\u0661"])
def test_a_malformed_pax_size_is_refused(size: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("w")
        info.pax_headers = {"size": size}
        tar.addfile(info)
    with pytest.raises(FormatError, match="a member's size is"):
        members_of(file.getvalue())


def test_sparse_members_are_known_as_such() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("w")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 42)}
        tar.addfile(info)
    assert members_of(file.getvalue())[0].kind == "sparse"


def test_the_number_of_members_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caten_sd.encodings.tar_headers.MAX_MEMBERS", 3)
    with pytest.raises(FormatError, match="over 3 members"):
        members_of(tar_of(*((f"f{n}", b"") for n in range(5))))


@settings(max_examples=examples(200))
@given(st.sampled_from(FORMATS), st.integers(0), st.binary(min_size=1, max_size=4))
def test_no_damage_gets_past_the_library(form: int, at: int, patch: bytes) -> None:
    data = tar_of(("a", b"x" * 30), (LONG[:90], b"y" * 600), form=form)
    at %= len(data)
    for damaged in (data[:at], data[:at] + patch + data[at + len(patch) :]):
        with contextlib.suppress(FormatError):
            for member in members_of(damaged):
                assert member.offset + member.size <= len(damaged)
