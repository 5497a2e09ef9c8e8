"""All commands: how they are found, what they answer to bad input, what they import."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from caten_sd import cli
from caten_sd.cli import commands, main
from tests.cli.running import run


def bad_inputs(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Command lines that must end with one sentence and exit code 2."""
    save_file({"w": torch.ones(4)}, folder / "good.safetensors")
    good = (folder / "good.safetensors").read_bytes()
    (folder / "short.safetensors").write_bytes(good[:-3])
    (folder / "page.pt").write_text("<!DOCTYPE html><html></html>")
    path = str(folder / "good.safetensors")
    return {
        "absent": (["show", str(folder / "no.pt")], "there is no such file"),
        "truncated": (["show", str(folder / "short.safetensors")], "is 3 bytes short"),
        "foreign": (["keys", str(folder / "page.pt")], "HTML"),
        "no state": (["keys", "torch.nn:ReLU"], "has no state"),
        "no module": (["keys", "no_such_module:build"], "does not build a model"),
        "unknown layout": (["check", path, "--against", "gpt9"], "no layout is called 'gpt9'"),
        "impossible": (
            ["keys", "caten_sd.nn:Transformer(32, 5, 2, 1e-5, 32)"],
            "5 heads do not divide dim 32",
        ),
        "unknown suffix": (["convert", path, str(folder / "w.xyz")], "names no format"),
        "no pattern": (
            ["convert", path, str(folder / "w.npz"), "--dtype", "=f32"],
            "--dtype '=f32' has no pattern; write",
        ),
        "no command": (
            ["shwo", path],
            "'shwo' is not a command; choose one of check, convert",
        ),
    }


CASES = (
    "absent",
    "truncated",
    "foreign",
    "no state",
    "no module",
    "unknown layout",
    "impossible",
    "unknown suffix",
    "no pattern",
    "no command",
)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words, sentence = bad_inputs(tmp_path)[case]
    before = sorted(tmp_path.iterdir())
    code, _, err = run(capsys, *words)
    assert code == 2
    assert sentence in err
    assert err.startswith("caten-sd: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_file_work_imports_no_torch(gpt2: Path):
    code = (
        "import sys; from caten_sd.cli import main; main(sys.argv[1:]);"
        "assert not {'torch', 'rich'} & set(sys.modules), sorted(sys.modules)"
    )
    out = gpt2.parent / "out.safetensors"
    for words in (
        ["show", gpt2],
        ["keys", gpt2],
        ["check", gpt2, "--against", "hf-gpt2"],
        ["convert", gpt2, out, "--to", "caten-gpt2"],
        ["digest", out],
    ):
        subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)


def test_a_closed_pipe_is_no_error(gpt2: Path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "caten_sd", "show", "--all", gpt2],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_are_found_and_said(capsys: pytest.CaptureFixture[str]):
    for words, expected in ((["--help"], 0), ([], 2)):
        code, out, _ = run(capsys, *words)
        assert code == expected
        assert out.startswith("usage: caten-sd COMMAND")
        assert [line.split()[0] for line in out.splitlines()[1:-1]] == list(commands())


def test_a_new_file_is_a_new_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "greet.py").write_text(
        'SUMMARY = "say hello"\n\ndef run(words):\n    print("hello", *words)\n    return 1\n'
    )
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "caten_sd.cli.greet", raising=False)
    assert commands()["greet"] == "say hello"
    assert run(capsys, "greet", "you") == (1, "hello you\n", "")
    del sys.modules["caten_sd.cli.greet"]


def test_a_file_without_a_summary_is_not_a_command(capsys: pytest.CaptureFixture[str]):
    assert "models" not in commands()
    assert run(capsys, "models")[0] == 2


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0)])
def test_an_interrupted_command_ends_without_a_traceback(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
):
    def ends(words: object) -> int:
        raise raised

    monkeypatch.setattr("caten_sd.cli.show.run", ends)
    for name in ("stdout", "stderr"):  # as in a program that puts its own in their place
        monkeypatch.setattr(sys, name, io.StringIO())
    assert main(["show", "x"]) == code
