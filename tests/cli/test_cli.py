"""Each command as a user runs it: what is on the screen, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from caten_sd.cli import main

LISTING = Path(__file__).parent.parent / "data" / "caten_listing.txt"
TRANSFORMER = "caten_sd.nn:Transformer(32, 2, 2, 1e-5, 32)"


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=32, n_head=2, n_layer=2, vocab_size=32, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path / "model.safetensors"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_show_says_what_it_is_in_groups(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "show", gpt2)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"{gpt2}: safetensors, 28 tensors, 59,264 elements, 237.1 kB"
    row = next(line for line in lines if "attn.c_attn.weight" in line)
    told = "transformer.h.{0..1}.attn.c_attn.weight x2 [32, 96] float32 24.6 kB"
    assert " ".join(row.split()) == told
    assert len(lines) <= 20


def test_show_all_has_every_tensor_and_json_everything(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    keys = list(load_file(gpt2))
    _, out, _ = run(capsys, "show", "--all", gpt2)
    assert all(any(line.split()[:1] == [key] for line in out.splitlines()) for key in keys)
    _, out, _ = run(capsys, "show", "--json", gpt2)
    told = json.loads(out)
    assert sorted(told["tensors"]) == sorted(keys)
    assert told["tensors"]["transformer.wte.weight"] == {
        "shape": [32, 32],
        "dtype": "float32",
        "bytes": 4096,
    }


def test_keys_of_a_file_and_of_a_model(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    _, out, _ = run(capsys, "keys", gpt2)
    assert sorted(out.split()) == sorted(load_file(gpt2))
    _, out, _ = run(capsys, "keys", TRANSFORMER)
    documented = [line.split(" ->")[0] for line in LISTING.read_text().splitlines()]
    assert out.split() == documented
    _, out, _ = run(capsys, "keys", "--caten", TRANSFORMER)
    listed = [" ".join(line.split()) for line in out.splitlines() if "->" in line]
    assert listed == LISTING.read_text().splitlines()


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


def test_convert_to_a_layout_turns_the_weights(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    out_path = gpt2.parent / "caten.safetensors"
    code, out, _ = run(capsys, "convert", gpt2, out_path, "--to", "caten-gpt2")
    assert code == 0
    assert "read back and equal; layout caten-gpt2" in out
    given, written = load_file(gpt2), load_file(out_path)
    square = "h.1.attn.c_proj.weight"
    assert torch.equal(written[square], given["transformer." + square].T)
    assert not torch.equal(written[square], given["transformer." + square])


def test_digest_is_the_same_in_two_containers(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    other = gpt2.parent / "w.npz"
    run(capsys, "convert", gpt2, other)
    digests = {run(capsys, "digest", path)[1].split()[0] for path in (gpt2, other)}
    assert len(digests) == 1


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
        "no module": (["keys", "no_such_module:build"], "gives no model"),
        "unknown layout": (["check", path, "--against", "gpt9"], "no layout is called 'gpt9'"),
        "impossible": (
            ["keys", "caten_sd.nn:Transformer(32, 5, 2, 1e-5, 32)"],
            "5 heads do not divide dim 32",
        ),
        "unknown suffix": (["convert", path, str(folder / "w.xyz")], "names no format"),
        "no exception": (
            ["convert", path, str(folder / "w.npz"), "--keep", "f32"],
            "PATTERN=DTYPE",
        ),
        "no command": (["shwo", path], "is no command"),
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
    "no exception",
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
