"""Every code block of the README runs, in order, as a reader would run it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from caten_sd.cli import main

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


def test_the_python_blocks_run(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert len(blocks) >= 2
    names: dict[str, object] = {"__name__": "readme"}
    for text in blocks:
        exec(compile(text, "README.md", "exec"), names)
    assert names["report"].fits


def test_the_commands_run_in_order(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    commands = [command for command in COMMANDS if command.startswith("caten-sd")]
    assert {command: main(shlex.split(command)[1:]) for command in commands} == dict.fromkeys(
        commands, 0
    )


def test_the_first_two_commands_are_those_that_ci_runs():
    installs = [command for command in COMMANDS if command.startswith("pip install")]
    assert [shlex.split(c)[4:] for c in installs] == [
        [".", "&&", "python", "examples/gpt2.py"],
        [".[test]", "&&", "pytest"],
    ]


def test_every_block_is_of_a_kind_that_is_run():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python"}
    assert all(c.startswith(("caten-sd ", "pip install ")) for c in COMMANDS)
