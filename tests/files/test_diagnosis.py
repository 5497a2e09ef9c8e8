"""What a file that no format recognizes really is."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from caten_sd import FormatError, read_state_dict
from caten_sd.files.diagnosis import diagnose
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 548105171\n"
)


def diagnosis_of(data: bytes) -> str:
    return str(diagnose(Source("w.pt", BytesBacking(data), 0, len(data))) or "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "w.pt: it is empty; get it again"),
        (
            POINTER,
            "w.pt: it is a Git LFS pointer of 134 bytes, the real file has 548,105,171 bytes; "
            "run git lfs pull",
        ),
        (POINTER[:50], "w.pt: it is a Git LFS pointer of 50 bytes; run git lfs pull"),
        (b"<!DOCTYPE html><html>", "it is an HTML or XML page, not a checkpoint"),
        (b"\xef\xbb\xbf\n  <HTML>", "it is an HTML or XML page"),
        (b"<?xml version='1.0'?><Error>", "it is an HTML or XML page"),
        (gzip.compress(b"x", mtime=0), "it is gzip data; convert or unpack it first"),
        (bz2.compress(b"x"), "it is bzip2 data"),
        (lzma.compress(b"x"), "it is xz data"),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), "it is an HDF5 file (Keras weights, say)"),
        (b"ggjt" + bytes(8), "it is an old GGML file, from before GGUF"),
        (b"\x08\x00\x00\x00TFL3", "it is a TensorFlow Lite file"),
        (
            b"Entry not found",
            "w.pt: it is text that begins 'Entry not found'; name",
        ),
        (b'{\n "vocab": 3}', """it is text that begins '{ "vocab": 3}'"""),
        ("重".encode() * 300, "it is text that begins '重重"),
        (bytes(600), "it begins with zero bytes only; get it again"),
    ],
)
def test_a_file_is_named_by_its_first_bytes(data: bytes, message: str) -> None:
    assert message in diagnosis_of(data)


@pytest.mark.parametrize("data", [b"\x01\x02\x03", b"{}", b"<", bytes(5) + b"x", b"\xff\xfehello"])
def test_what_is_not_known_is_not_guessed_at(data: bytes) -> None:
    assert diagnosis_of(data) == ""


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".gguf", ".npz", ".h5", ""])
@pytest.mark.parametrize(
    ("data", "message"), [(POINTER, "Git LFS pointer"), (b"<html>", "HTML"), (b"", "it is empty")]
)
def test_reading_one_says_so_whatever_its_name(
    suffix: str, data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
