from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from caten_sd import get_state_dict, to_layout, write_state_dict
from caten_sd.nn import gpt2_from_config

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the example in this process; return its exit code, standard output and error."""
    spec = importlib.util.spec_from_file_location("gpt2_example", EXAMPLES / "gpt2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = module.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "tiny_gpt2", tmp_path / "gpt2"))


def change(folder: Path, **entries: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **entries}))


def test_it_prints_the_verdict_and_a_line_of_text() -> None:
    command = [sys.executable, EXAMPLES / "gpt2.py", "--prompt", "God said", "--tokens", "60"]
    here = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", env=here)
    recognized, *plan, text = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert recognized.startswith("hf-gpt2 (gpt2: n_layer 4, ")
    assert "53 of 53 slots of Transformer fit, and the file has nothing else" in plan
    assert text.startswith("God said")
    assert text.isascii()
    assert len(text) > 40


@pytest.mark.parametrize(
    ("entries", "fact"),
    [
        ({"n_head": 5}, "5 heads do not divide dim 96"),
        ({"n_layer": -1}, "n_layers must be an integer of at least 0"),
        ({"n_embd": 2**60}, "do not fit into memory"),
        ({"vocab_size": None}, "vocab_size is missing"),
    ],
)
def test_impossible_sizes_are_one_sentence_and_exit_code_2(run, folder, entries, fact) -> None:
    change(folder, **entries)
    code, out, err = run(folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "config.json" in err
    assert fact in err


def test_a_config_that_is_not_json_or_does_not_exist(run, folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert run(folder)[0] == 2
    (folder / "config.json").unlink()
    code, _, err = run(folder)
    assert code == 2
    assert "config.json: No such file" in err


def test_a_damaged_file_is_exit_code_2(run, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, _, err = run(folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "model.safetensors" in err


def test_a_config_of_another_model_is_named(run, folder: Path) -> None:
    change(folder, n_layer=3)
    code, _, err = run(folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "n_layer is 3" in err


def test_a_prompt_that_is_too_long_is_exit_code_2(run) -> None:
    code, _, err = run("--prompt", "x" * 300)
    assert code == 2
    assert "max_seq_len 256" in err


def test_a_vocabulary_of_tokens_needs_a_tokenizer(run, folder: Path) -> None:
    model = gpt2_from_config({**json.loads((folder / "config.json").read_text()), "vocab_size": 9})
    state = to_layout(get_state_dict(model), "hf-gpt2", from_layout="caten-gpt2", silent=True)
    write_state_dict(state, folder / "model.safetensors")
    change(folder, vocab_size=9)
    code, _, err = run(folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "tokenizer.json" in err
