from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "gpt2.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "tiny_gpt2", tmp_path / "gpt2"))


def change(folder: Path, **entries: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **entries}))


def test_it_prints_the_verdict_and_a_line_of_text() -> None:
    done = run("--prompt", "God said", "--tokens", 60)
    verdict, text = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert verdict == "53 of 53 slots of Transformer fit, and the file has nothing else."
    assert text.startswith("God said")
    assert text.isascii()
    assert len(text) > 40


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"n_head": 5}, "5 heads do not divide dim 96"),
        ({"n_layer": -1}, "n_layers must be a positive integer"),
        ({"n_embd": 2**60}, "no memory holds"),
        ({"vocab_size": None}, "vocab_size missing"),
    ],
)
def test_impossible_sizes_are_one_sentence_and_exit_code_2(folder, entries, said) -> None:
    change(folder, **entries)
    done = run(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "config.json" in done.stderr
    assert said in done.stderr


def test_a_config_that_is_not_there_or_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert run(folder).returncode == 2
    (folder / "config.json").unlink()
    done = run(folder)
    assert done.returncode == 2
    assert "config.json: No such file" in done.stderr


def test_a_damaged_file_is_exit_code_2(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = run(folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "model.safetensors" in done.stderr


def test_a_config_of_another_model_is_exit_code_1(folder: Path) -> None:
    change(folder, n_layer=3)
    done = run(folder)
    assert done.returncode == 1
    assert "12 in the file, not in the model" in done.stdout


def test_a_prompt_that_is_too_long_is_exit_code_2() -> None:
    done = run("--prompt", "x" * 300)
    assert done.returncode == 2
    assert "context of 256" in done.stderr
