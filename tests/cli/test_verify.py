"""``caten-sd verify A B``: what is printed, the inputs, and the exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import failed, run

MODELS = """
import torch

def net(eps=1e-5):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.LayerNorm(4, eps=eps))

def other():
    return torch.nn.Linear(3, 3)
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(MODELS)
    return str(tmp_path / "nets.py")


def test_models_that_agree_are_code_0(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    net = f"{models}:net"
    assert run(capsys, "verify", net, net)[0] == 0
    code, out, _ = run(capsys, "verify", net, net, "--tokens", "1,2,3")
    assert code == 0
    assert "agree in 3 layers" in out
    assert "tokens 1, 2, 3" in out
    assert "seed 7" in run(capsys, "verify", net, net, "--seed", "7")[1]


def test_models_that_part_are_code_1(
    models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = f"{models}:net", f"{models}:net(eps=0.001)"
    code, out, _ = run(capsys, "verify", *pair)
    assert code == 1
    assert out.startswith("the models part at 1: its input is the same")
    assert "eps is 1e-05 in A and 0.001 in B" in out
    assert run(capsys, "verify", *pair, "--tolerance", "10")[0] == 0
    np.savez(tmp_path / "x.npz", np.array([[1, 2]]))
    np.savez(tmp_path / "named.npz", input=np.array([[1, 2]]))
    for name in ("x.npz", "named.npz"):
        _, out, _ = run(capsys, "verify", *pair, "--inputs", tmp_path / name, "--json")
        assert json.loads(out)["layer"] == "1"


def test_bad_words_are_one_sentence(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mine.toml" in failed(capsys, "verify", f"{models}:net", f"{models}:other")
    pair = f"{models}:net", f"{models}:net"
    for words in (("--seed", "-1"), ("--tolerance", "-1"), ("--tolerance", "nan")):
        assert f"{words[0]} is {words[1]}" in failed(capsys, "verify", *pair, *words)
    for tokens in ("a", "-1", f"1,{2**63}"):
        with pytest.raises(SystemExit):
            run(capsys, "verify", *pair, f"--tokens={tokens}")
        assert "1,2,3" in capsys.readouterr().err
