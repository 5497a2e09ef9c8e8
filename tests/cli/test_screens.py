"""Whatever a file holds, a command prints text only, JSON that is JSON, and fixes that are safe."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from caten_sd import cli
from caten_sd.cli import main
from tests.cli.hostile_files import hostile_files
from tests.hostile_texts import TEXTS

MODEL = "torch.nn:Linear(2, 2)"
DAILY = ("clear", "shell")


def command_lines(path: Path, text: str, folder: Path) -> Iterator[list[str]]:
    file = str(path)
    yield from (["show", file], ["show", file, "--all"], ["show", file, "--json"])
    yield from (["keys", file], ["keys", file, "--caten"], ["digest", file, "--check"])
    yield from (["digest", file], ["digest", file, "--all"])
    for against in ("hf-gpt2", MODEL):
        yield ["check", file, "--against", against]
        yield ["check", file, "--against", against, "--json"]
    yield ["check", file, "--against", text or "x"]
    for target in ("out.safetensors", "out.gguf", "out.npz", "out.msgpack", "out.pt"):
        yield ["convert", file, str(folder / target)]
    yield ["convert", file, str(folder / "x.safetensors"), "--to", "hf-gpt2", "--json"]
    yield from (["keys", file, f"--root={text}"], ["keys", f"{file}::{text}"])
    yield from (["show", file, text], [text, file], ["show", file, "--stats"])
    yield from ([verb, file, file] for verb in ("explain", "suggest", "diff"))
    yield from (["diff", file, file, "--diffable"], ["explain", file, file, "--all", "--json"])


def argument(word: str) -> str:
    """Return the word as an operating system can hand it over."""
    return re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "", word)


def called(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as end:  # argparse
        return int(end.code or 0)


def pastes(printed: str) -> Iterator[str]:
    """Yield each fix, and each remedy that has a name of the file, as a user would paste it."""
    for line in printed.splitlines():
        if line.startswith("fix: "):
            yield line.removeprefix("fix: ")
        for word in ("choose one, as ", "open it with ", "by its own path, "):
            if word in line:
                yield f"true {line.partition(word)[2]}"


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def no_constant(text: str) -> NoReturn:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name, marks=[] if name in DAILY else pytest.mark.slow)
        for name, text in TEXTS.items()
    ],
)
def test_every_command_prints_text_and_fixes_that_run_nothing(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, scratch = tmp_path / "files", tmp_path / "scratch"
    files.mkdir()
    scratch.mkdir()
    monkeypatch.chdir(scratch)
    lines: list[str] = []
    for path in hostile_files(text, files):
        for words in command_lines(path, text, tmp_path):
            code = called([argument(word) for word in words])
            out, err = capsys.readouterr()
            assert code in (0, 1, 2), words
            assert (out + err).replace("\n", "").isprintable(), words
            if "--json" in words and code < 2:
                json.loads(out, parse_constant=no_constant, object_pairs_hook=unique)
                out.encode()
            lines += pastes(out + err)
    assert not any(scratch.iterdir())
    paste_into_shell(lines, scratch)
    assert not any(scratch.iterdir())


def paste_into_shell(lines: list[str], folder: Path) -> None:
    """Run each line in a shell that has the commands' names, but not the commands."""
    stubs = "caten-sd() { :; }\npython() { :; }\n"
    for line in set(lines):
        subprocess.run(
            ["bash", "-c", stubs + line], cwd=folder, capture_output=True, check=False, timeout=60
        )


def test_only_one_function_prints() -> None:
    for path in Path(cli.__file__).parent.glob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Call)
        prints = any(ast.unparse(call.func) == "print" for call in calls)
        assert prints == (path.name == "__init__.py"), path
