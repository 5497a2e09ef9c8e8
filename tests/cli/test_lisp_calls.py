from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from caten_sd.cli.file_or_model import is_model
from caten_sd.cli.lisp_calls import split_call
from caten_sd.files.checkpoint import write_state_dict
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.objects.extract import get_state_dict
from tests.cli.running import TRANSFORMER, failed, run

NETS = """
(defmodel (Net (dim &key (hidden (* 4 dim)))) ((fc (Linear dim hidden)) (out (Linear hidden dim))))
(defmodel (Pairs (n)) ((al (list (cons 'a (Linear n n))))))
"""


@pytest.fixture(autouse=True)
def _nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("nets.lisp", "my nets.lisp", "a:b.lisp", "x (1).lisp", "nets.txt", "UP.LISP"):
        Path(path).write_text(NETS)
    Path("one.lisp").write_text("(defmodel (One ()) ((w (rand '(2)))))")


@pytest.mark.parametrize(
    ("text", "file", "call"),
    [
        ("nets.lisp:(Net 3)", "nets.lisp", "(Net 3)"),
        ("my nets.lisp:(Net 3)", "my nets.lisp", "(Net 3)"),
        ("a:b.lisp:(Net 3)", "a:b.lisp", "(Net 3)"),
        ("x (1).lisp:(Net 3)", "x (1).lisp", "(Net 3)"),
        ("C:/x (1)/no.lisp:(Net 3)", "C:/x (1)/no.lisp", "(Net 3)"),
        ("nets.txt:(Net 3)", "nets.txt", "(Net 3)"),
        ("UP.LISP:Net", "UP.LISP", "Net"),
        ("one.lisp", "one.lisp", ""),
        ("one.lisp:", "one.lisp", ""),
        ("nets.lisp:(f '(x.lisp:(y)))", "nets.lisp", "(f '(x.lisp:(y)))"),
    ],
)
def test_the_file_and_the_call(text: str, file: str, call: str) -> None:
    assert split_call(text) == (file, call)
    assert is_model(text)


@pytest.mark.parametrize(
    "text",
    [
        TRANSFORMER,
        "mine.py:build",
        "m.py:f(':(')",
        "a.b:f(':(x)')",
        "a.tar::w.pt",
        "hf-gpt2",
        "w.pt",
    ],
)
def test_what_is_not_lisp(text: str) -> None:
    assert split_call(text) is None


def test_keys_and_show_take_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "keys", "--caten", "nets.lisp:(Net 2 :hidden 3)")
    assert code == 0
    assert "fc.weight  -> (3 2)" in out
    code, out, _ = run(capsys, "show", "my nets.lisp:(Net 2)")
    assert code == 0
    assert "4 tensors" in out
    assert "fc.weight" in out
    assert run(capsys, "keys", "one.lisp")[1] == run(capsys, "keys", "one.lisp:One")[1] == "w\n"


def test_show_takes_a_model_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", TRANSFORMER)
    assert code == 0
    assert "wte.weight" in out


def test_check_says_whether_a_file_fits_a_model_in_lisp(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_state_dict(get_state_dict(read_lisp(Path("nets.lisp")).build("(Net 2)")), "w.safetensors")
    assert run(capsys, "check", "w.safetensors", "--against", "nets.lisp:(Net 2)")[0] == 0
    code, out, _ = run(capsys, "check", "w.safetensors", "--against", "nets.lisp:(Net 3)")
    assert code == 1
    assert "fc.weight" in out


@pytest.mark.slow
def test_the_fix_for_a_model_in_lisp_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    state = get_state_dict(read_lisp(Path("my nets.lisp")).build("(Net 2)"))
    write_state_dict({f"model.{key}": leaf for key, leaf in state.items()}, "w.safetensors")
    code, out, _ = run(capsys, "check", "w.safetensors", "--against", "my nets.lisp:(Net 2)")
    fix = next(line for line in out.splitlines() if "python -c" in line)
    command = fix[fix.index("python -c") :].replace("python", sys.executable, 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert code in (0, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no.lisp:(Net 3)", ["no.lisp", "cannot be read", "correct its path"]),
        ("nets.lisp:(Nett 3)", ["nets.lisp, call:1:2", "Nett", "did you mean Net"]),
        ("nets.lisp:Nett", ["nets.lisp", "'Nett'", "did you mean Net", "Net, Pairs"]),
        ("nets.lisp:(Net)", ["nets.lisp, call:1:1", "dim of Net is missing", "(* 4 dim)"]),
        ("nets.lisp:(Net 3 4)", ["4", "too many", "(dim &key"]),
        ("nets.lisp:(Net 3 :hiden 4)", [":hiden", "(dim &key"]),
        ("nets.lisp:(Net 3", ["never closed"]),
        ("nets.lisp:(Net 3))", ["closes nothing"]),
        ("nets.lisp:(Net 3) (Net 4)", ["2 forms", "one call"]),
        ("nets.lisp:(list 1 2)", ["(1 2)", "not a model"]),
        ("nets.lisp:(Net 1/2)", ["1/2", "ratio"]),
        ("nets.lisp", ["2 models", "nets.lisp:(Net ...)"]),
        ("nets.lisp:(Net #.(exit))", ["runs code"]),
        (".lisp:(Net 3)", [".lisp", "cannot be read"]),
    ],
)
def test_a_call_that_builds_nothing_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], text: str, said: list[str]
) -> None:
    err = failed(capsys, "keys", text)
    for each in said:
        assert each in err


def test_state_that_caten_lacks_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "keys", "nets.lisp:(Pairs 2)")
    assert code == 0
    assert out.split() == ["al.0.1.weight", "al.0.1.bias"]
    assert err.count("\n") == 1
    assert "al.0.1.weight" in err


def test_a_model_has_no_trees(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--root" in failed(capsys, "keys", "nets.lisp:(Net 3)", "--root", "x")


def test_the_weights_of_a_call_load(capsys: pytest.CaptureFixture[str]) -> None:
    model = read_lisp(Path("nets.lisp")).build("(Net 2)")
    assert all(isinstance(leaf, torch.nn.Parameter) for leaf in model.parameters())
