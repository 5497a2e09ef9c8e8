"""What people really have under a checkpoint's name, said in one sentence whatever the suffix."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import pytest

from caten_sd.checkpoint import read_state_dict
from caten_sd.errors import FormatError
from caten_sd.files.catalog import file_suffixes

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4665adf8c4a9b8bb5ae5c0e8ae0ab4ecf4e0d2a2ad5a8d1a1e0f2b1a3f4c5d6e\nsize 548105171\n"
)
NOISE = random.Random(7).randbytes(5000)

KINDS = [
    (b"", "it is empty"),
    (LFS, "a Git LFS pointer of 134 bytes, the real file has 548,105,171 bytes; run git lfs pull"),
    (b"  <!DOCTYPE html>\n<html><body>Not found</body></html>", "an HTML or XML page"),
    (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "an HTML or XML page"),
    (b"\x89HDF\r\n\x1a\n" + bytes(600), "an HDF5 file"),
    (bytes(70_000), "nothing but zero bytes"),
    (NOISE, ""),
    (b"{}", ""),
    (b"Entry not found", ""),
]


@pytest.mark.parametrize("suffix", [*file_suffixes(), "", ".weights"])
@pytest.mark.parametrize(("data", "problem"), KINDS)
def test_each_is_named(tmp_path: Path, suffix: str, data: bytes, problem: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_state_dict(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_only_packed_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.gz"
    path.write_bytes(gzip.compress(b"x" * 600))
    with pytest.raises(FormatError, match="it is gzip data; convert or unpack it first"):
        read_state_dict(path)


@pytest.mark.parametrize("name", ["absent.pt", "loop.pt", "pipe.pt", "zero.pt", "folder.pt"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(FormatError, match=r"no such file|no regular file|it holds nothing"):
        read_state_dict(tmp_path / name)
