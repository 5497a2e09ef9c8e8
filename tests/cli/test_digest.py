from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from caten_sd.files.checkpoint import read_state_dict
from caten_sd.state.digest import tensor_digests
from tests.cli.running import failed, run


def test_digest_is_the_same_in_two_containers(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    other = gpt2.parent / "w.npz"
    run(capsys, "convert", gpt2, other)
    digests = {run(capsys, "digest", path)[1].split()[0] for path in (gpt2, other)}
    assert len(digests) == 1


def test_digests_are_stored_and_verified(good: Path, capsys: pytest.CaptureFixture[str]):
    stored = good.with_name("stored.safetensors")
    assert run(capsys, "convert", good, stored, "--digests")[0] == 0
    code, out, _ = run(capsys, "digest", "--check", stored)
    assert (code, out.split()[0]) == (0, run(capsys, "digest", good)[1].split()[0])
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    assert "1 tensor not as saved: w" in failed(capsys, "digest", "--check", stored)


def test_every_tensor_has_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "w.safetensors"
    save_file({"a\nb": torch.ones(2), "c": torch.zeros(2), "d": torch.ones(2)}, path)
    code, out, _ = run(capsys, "digest", "--all", path)
    lines = dict(reversed(line.split("  ")) for line in out.splitlines())
    with read_state_dict(path) as found:
        expected = tensor_digests(found)
    assert code == 0
    assert lines == {r"'a\nb'": expected["a\nb"], "c": expected["c"], "d": expected["d"]}
    assert lines["d"] != lines["c"]
