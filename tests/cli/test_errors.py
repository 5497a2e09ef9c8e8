"""What goes wrong outside the checkpoint: one sentence, exit code 2, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from caten_sd.state import source
from tests.cli.running import failed, run


def test_a_mistyped_name_is_answered_with_the_one_that_is_there(
    good: Path, capsys: pytest.CaptureFixture[str]
):
    mistyped = good.with_name("god.safetensors")
    assert failed(capsys, "show", mistyped).endswith(f"did you mean {str(good)!r}?\n")
    assert failed(capsys, "show", good.parent / "absent").endswith("check the path\n")
    good.with_name("link.pt").symlink_to(good.with_name("gone.pt"))
    assert "a link to a missing file" in failed(capsys, "show", good.with_name("link.pt"))
    assert failed(capsys, "show", f"{good.parent}::w.pt").endswith(
        "it is not a regular file; check the path\n"
    )
    assert failed(capsys, "show", good.parent / "no" / "w.pt").endswith("check the path\n")


def test_a_folder_that_may_not_be_read(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(source.Path, "iterdir", refuse)
    assert failed(capsys, "show", good.parent) == (
        f"caten-sd: {good.parent}: it cannot be opened (Permission denied); check the path\n"
    )


def test_a_file_that_may_not_be_read(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, flags: int) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert "it cannot be opened (Permission denied)" in failed(capsys, "show", good)


def test_an_archive_of_pictures_is_no_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with zipfile.ZipFile(tmp_path / "pics.zip", "w") as file:
        file.writestr("a.png", b"\x89PNG\r\n\x1a\n")
    assert "it holds a.png" in failed(capsys, "show", tmp_path / "pics.zip")


@pytest.mark.parametrize(
    ("target", "words", "sentence"),
    [
        ("no/w.pt", [], "there is no such folder to write it in"),
        ("w.pt", ["--max-shard-size", "1kB"], "no option max_shard_size"),
        ("w.tar", [], "only read; write a checkpoint"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is(
    target: str, words: list[str], sentence: str, good: Path, capsys: pytest.CaptureFixture[str]
):
    before = sorted(good.parent.iterdir())
    assert sentence in failed(capsys, "convert", good, good.parent / target, *words)
    assert sorted(good.parent.iterdir()) == before


def test_a_terminal_without_the_letters_gets_them_escaped(tmp_path: Path):
    save_file({"重み": torch.ones(1)}, tmp_path / "w.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "caten_sd", "keys", tmp_path / "w.safetensors"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, rb"\u91cd\u307f" + b"\n", b"")


def test_a_failure_of_the_system_is_one_sentence(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def full(words: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("caten_sd.cli.show.run", full)
    assert "No space left on device" in failed(capsys, "show", good)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]):
    import caten_sd

    assert run(capsys, "--version") == (0, f"caten-sd {caten_sd.__version__}\n", "")


@pytest.mark.parametrize("command", ["show", "keys", "check", "convert", "digest"])
def test_help_is_plain_text(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        run(capsys, command, "--help")
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "`" not in out
    assert "--root NAME" in out
