"""``caten-sd diff A B``: what is printed, and the exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.running import failed, run


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return two files of which one tensor differs."""
    a = {f"h.{i}.w": np.arange(12, dtype="f4").reshape(3, 4) + i for i in range(3)}
    save_file(a, tmp_path / "a.safetensors")
    save_file({**a, "h.1.w": a["h.1.w"] + 1}, tmp_path / "b.safetensors")
    return tmp_path / "a.safetensors", tmp_path / "b.safetensors"


def test_what_differs_is_code_1(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "diff", *files)
    assert (code, err) == (1, "")
    assert out.startswith("1 of 3 tensors differs: 1 changed; 2 the same bytes\n")
    assert "h.1.w: relative rms" in out


def test_the_same_is_code_0(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", files[0], files[0])
    assert (code, out) == (0, "no value differs in 3 tensors: 3 the same bytes\n")


def test_json_has_every_tensor(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "diff", *files, "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["counts"]["bytes"]) == (1, "diff", 2)
    (row,) = found["groups"]["changed"]
    assert (row["key"], row["largest"], row["changed"]) == ("h.1.w", 1.0, 12)
    assert [row["key"] for row in found["groups"]["the same bytes"]] == ["h.0.w", "h.2.w"]


def test_a_quick_diff_has_no_counts_of_elements(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "diff", *files, "--json", "--quick")
    (row,) = json.loads(out)["groups"]["changed"]
    assert (code, row["largest"], row["changed"], row["mean"]) == (1, 1.0, None, None)


def test_lines_for_diff_name_no_file(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "diff", *files, "--diffable")
    lines = out.splitlines()
    assert (code, len(lines)) == (1, 3)
    assert lines[0] == "h.0.w: the same bytes"
    assert lines[1].startswith("h.1.w: changed: relative rms")


def test_a_key_with_a_line_break_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    for n, path in enumerate(files):
        save_file({"a\nb": np.full(2, n)}, path)
    for words in ((), ("--diffable",), ("--all",)):
        _, out, _ = run(
            capsys, "diff", tmp_path / "x.safetensors", tmp_path / "y.safetensors", *words
        )
        assert "a\nb" not in out
        assert "a\\nb" in out


def test_a_model_in_python_is_compared(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "diff", files[0], "torch.nn:Linear(3,4)")
    assert code == 1
    assert "no tensor is in both: 3 only in A, 2 only in B" in out


def test_errors_are_code_2(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no.safetensors" in failed(capsys, "diff", files[0], tmp_path / "no.safetensors")
    save_file({}, tmp_path / "empty.safetensors")
    assert "B has no tensors" in failed(capsys, "diff", files[0], tmp_path / "empty.safetensors")
    assert "hf-nothing" in failed(capsys, "diff", *files, "--to", "hf-nothing")
