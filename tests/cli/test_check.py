from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import get_state_dict, write_state_dict
from tests.cli.running import TRANSFORMER, run


def test_check_says_why_it_does_not_fit_and_what_to_do(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    code, out, _ = run(capsys, "check", gpt2, "--against", TRANSFORMER)
    assert code == 1
    assert len(out.splitlines()) <= 20
    assert "in the model, not in the file" in out
    assert "hf-gpt2" in out
    code, out, _ = run(capsys, "check", gpt2, "--to", "caten-gpt2", "--against", TRANSFORMER)
    assert code == 0
    assert out.startswith("29 of 29 slots of Transformer fit")
    code, out, _ = run(
        capsys, "check", gpt2, "--to", "caten-gpt2", "--against", TRANSFORMER, "--json"
    )
    assert json.loads(out)["fits"] is True


def test_check_against_a_layout(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "check", gpt2, "--against", "hf-gpt2")
    assert code == 0, out
    code, out, _ = run(capsys, "check", gpt2, "--against", "caten-gpt2")
    assert code == 1
    assert "hf-gpt2" in out


@pytest.mark.parametrize("call", ["NET", "NET.weight", "build"])
def test_the_fix_for_a_model_in_a_python_file_can_be_pasted(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "from torch import nn\nNET = nn.Linear(2, 3)\ndef build(): return nn.Linear(2, 3)\n"
    Path("our net.py").write_text(text)
    leaves = {"weight": np.ones((3, 2), np.float32), "bias": np.ones(3, np.float32)}
    if call == "NET.weight":
        write_state_dict({"weight": leaves["weight"]}, "w.safetensors")
    else:
        write_state_dict({f"model.{key}": leaf for key, leaf in leaves.items()}, "w.safetensors")
    code, out, _ = run(capsys, "check", "w.safetensors", "--against", f"our net.py:{call}")
    assert code == 1
    python, option, program = shlex.split(out.splitlines()[-1].removeprefix("fix: "))
    assert (python, option) == ("python", "-c")
    names: dict[str, Any] = {}
    exec(program, names)
    assert "and the file has nothing else" in capsys.readouterr().out
    for tensor in get_state_dict(names["model"]).values():
        assert (tensor == 1).all()


def test_a_second_file_of_weights_is_for_diff(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    other = Path("$(another one).npz")
    write_state_dict({"w": np.zeros(1)}, other)
    code, _, err = run(capsys, "check", gpt2, "--against", other)
    assert code == 2
    line = err.partition("write ")[2]
    assert shlex.split(line) == ["caten-sd", "diff", *map(str, (gpt2, other))]
    Path("hf-gpt2").mkdir()  # a layout's name is the layout
    assert run(capsys, "check", gpt2, "--against", "hf-gpt2")[0] == 0
