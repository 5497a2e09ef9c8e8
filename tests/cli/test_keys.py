from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.cli.running import TRANSFORMER, run

LISTING = Path(__file__).parent.parent / "data" / "caten_listing.txt"


def test_keys_of_a_file_and_of_a_model(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    _, out, _ = run(capsys, "keys", gpt2)
    assert sorted(out.split()) == sorted(load_file(gpt2))
    _, out, _ = run(capsys, "keys", TRANSFORMER)
    documented = [line.split(" ->")[0] for line in LISTING.read_text().splitlines()]
    assert out.split() == documented
    _, out, _ = run(capsys, "keys", "--caten", TRANSFORMER)
    listed = [" ".join(line.split()) for line in out.splitlines() if "->" in line]
    assert listed == LISTING.read_text().splitlines()


def test_keys_of_a_member_of_an_archive(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(good.parent)
    with tarfile.open(good.with_name("a.tar"), "w") as archive:
        archive.add(good, "w.safetensors")
    assert run(capsys, "keys", "a.tar::w.safetensors") == (0, "w\n", "")
