"""``caten-sd explain A B``: what is printed and written, and the exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from caten_sd.layout import Layout, Rotary
from tests.cli.running import failed, run


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return two files of the same weights under other names, one of them in rotary pairs."""
    random = np.random.default_rng(0)
    a = {f"h.{i}.q.weight": random.standard_normal((24, 6)).astype("f4") for i in range(2)}
    b = {
        f"blk.{i}.attn_q.weight": Rotary(3, to="pairs").apply({(): w})[()].numpy()
        for i, w in enumerate(a.values())
    }
    save_file(a, tmp_path / "a.safetensors")
    save_file(b, tmp_path / "b.safetensors")
    return tmp_path / "a.safetensors", tmp_path / "b.safetensors"


def test_the_layout_is_printed_and_written_and_converts(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = files
    path = tmp_path / "mine.toml"
    code, out, err = run(capsys, "explain", a, b, "--number", "n_head=3", "-o", path)
    assert (code, err) == (0, "")
    assert "2 of 2 tensors in A and 2 of 2 tensors in B are explained by 1 row" in out
    assert "h.{i}.q.weight <-> blk.{i}.attn_q.weight: Rotary(heads='n_head'" in out
    layout = Layout.from_toml(path)
    assert (layout.name, len(layout.rows)) == ("mine", 1)
    bare = tmp_path / "bare.toml"
    assert run(capsys, "explain", a, b, "-o", bare)[0] == 0
    made = tmp_path / "made.safetensors"
    assert run(capsys, "convert", b, made, "--from", bare, "--to", bare)[0] == 0
    assert load_file(made).keys() == load_file(b).keys()


def test_json_has_the_rows(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "explain", *files, "--json")
    found = json.loads(out)
    assert found["kind"] == "explanation"
    (row,) = found["groups"]["name in A <-> name in B"]
    assert row["here"] == ["blk.{i}.attn_q.weight"]
    assert row["operation"] == "Rotary(heads=3, axis=0, to='pairs')"


def test_what_is_undecided_is_code_1(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"x": np.arange(5, dtype="f4")}, other)
    target = tmp_path / "none.toml"
    code, out, err = run(capsys, "explain", files[0], other, "-o", target)
    assert code == 1
    assert "only in B (1)" in out
    assert str(target) in err
    assert not target.exists()


def test_bad_words_are_one_sentence(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in ("n_head=x", f"n_head={'9' * 5000}"):
        assert "n_head=12" in failed(capsys, "explain", *files, "--number", number)
    assert "'name'" in failed(capsys, "explain", *files, "--number", "name=4")
    twice = ["--number", "n_head=3", "--number", "n_head=4"]
    assert "'3' and '4'" in failed(capsys, "explain", *files, *twice)
    assert "no.safetensors" in failed(capsys, "explain", files[0], tmp_path / "no.safetensors")
    empty = tmp_path / "empty.safetensors"
    save_file({}, empty)
    assert "B has no tensors" in failed(capsys, "explain", files[0], empty)
