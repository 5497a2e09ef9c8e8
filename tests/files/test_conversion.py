from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import caten_sd as sd
from caten_sd.files import atomic, conversion, new_folder
from caten_sd.files.atomic import before_rename
from caten_sd.files.conversion import estimate
from caten_sd.files.format import Format
from caten_sd.formats.sharded import Sharded
from tests.files.overlaps import NEVER_REPLACED, target_in
from tests.formats.test_conformance import writable

GB = 1_000_000_000


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "h.0.w": torch.randn(8, 4),
        "h.0.norm": torch.randn(4),
        "step": torch.tensor(7),
    }


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors"])
def test_there_and_back_is_bit_exact(tmp_path: Path, suffix: str):
    save_file(weights(), tmp_path / "in.safetensors", {"format": "pt", "note": "kept"})
    there = tmp_path / f"there{suffix}"
    sd.convert(tmp_path / "in.safetensors", there)
    done = sd.convert(there, tmp_path / "back.safetensors")
    assert done.tensors == 3
    back = load_file(tmp_path / "back.safetensors")
    for key, tensor in weights().items():
        assert torch.equal(back[key], tensor)
    if suffix != ".pt":  # a torch zip has no place for metadata
        with sd.read_state_dict(tmp_path / "back.safetensors") as read:
            assert read.metadata["note"] == "kept"


def test_casts_are_counted_and_the_largest_error_read_back(tmp_path: Path):
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(weights(), source)
    done = sd.convert(source, target, dtype={"*norm*": "f32", "*": "bf16"})
    given, written = weights()["h.0.w"], load_file(target)
    assert done.casts == {"float32 to bfloat16": 1}
    assert written["h.0.norm"].dtype == torch.float32
    assert written["step"].dtype == torch.int64
    assert done.error == (given - written["h.0.w"].float()).abs().max().item()
    assert done.error_key == "h.0.w"
    assert "cast 1 float32 to bfloat16, largest error" in str(done)
    assert json.loads(json.dumps(done.to_dict()))["largest_error_key"] == "h.0.w"


def test_output_on_input_is_right_and_a_failure_leaves_it_unchanged(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_file(weights(), path)
    sd.convert(path, path, dtype="f16")
    assert load_file(path)["h.0.w"].dtype == torch.float16
    before = path.read_bytes()
    with pytest.raises(sd.StateDictError, match="no key matches"):
        sd.convert(path, path, dtype={"nothing": "f32"})
    with pytest.raises(sd.LayoutError, match="no layout is called 'gpt3'"):
        sd.convert(path, path, layout="gpt3")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_progress_ends_at_the_bytes_that_were_announced(tmp_path: Path):
    save_file(weights(), tmp_path / "in.safetensors")
    seen: list[tuple[int, int]] = []
    sd.convert(
        tmp_path / "in.safetensors",
        tmp_path / "out.npz",
        progress=lambda done, total: seen.append((done, total)),
    )
    with sd.read_state_dict(tmp_path / "in.safetensors") as read:
        size = estimate(read).size
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_is_announced_is_what_is_written_not_what_was_read(tmp_path: Path):
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(weights(), source)
    announced = []
    done = sd.convert(source, target, dtype="bf16", announce=lambda need: announced.append(need))
    assert [(need.tensors, need.size) for need in announced] == [(done.tensors, done.size)]
    assert done.to_dict()["memory_needed"] == announced[0].memory
    assert done.size == 2 * (8 * 4 + 4) + 8  # two bytes a float, eight for the int64


def test_the_rest_of_the_source_is_named_after_a_cast(tmp_path: Path):
    torch.save({"model": weights(), "optimizer": {"lr": 0.1}, "epoch": 3}, tmp_path / "run.pt")
    done = sd.convert(tmp_path / "run.pt", tmp_path / "out.safetensors", dtype="bf16")
    assert {"optimizer", "epoch"} <= set(done.left_out)


MEASURE = """
import resource, sys
import caten_sd as sd, numpy, ml_dtypes, caten_sd.adapters.numpy, caten_sd.mapping.layout_plan
from caten_sd.files.cast import Cast
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start = peak()
sd.convert(sys.argv[1], sys.argv[2], **eval(sys.argv[3]))
print(peak() - start)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
@pytest.mark.parametrize("options", ["{}", "{'dtype': 'bf16'}"], ids=["as it is", "cast"])
def test_two_gigabytes_take_200_megabytes(tmp_path: Path, suffix: str, options: str):
    source = tmp_path / "in.safetensors"
    tensor = np.random.default_rng(0).standard_normal((3125, 4000), "f4")  # 50 MB
    sd.write_state_dict({f"h.{i}.w": tensor + i for i in range(40)}, source)
    assert source.stat().st_size > 2 * GB
    grown = subprocess.run(
        [sys.executable, "-c", MEASURE, source, tmp_path / f"out.{suffix}", options],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(grown.stdout) < 200


class TestWhatIsWrongReplacesNothing:
    """A conversion compares what it wrote while the old target is still there."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "in.safetensors"
        save_file({f"h.{n}.w": torch.full((10, 10), 7.0 + n) for n in range(3)}, path)
        return path

    def failing_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Change a byte of each 7.0 that is written, before it is read back."""

        def corrupt(written: Path, target: Path) -> None:
            folder = written if written.is_dir() else written.parent
            for path in filter(Path.is_file, folder.rglob("*")):
                data = path.read_bytes()
                path.write_bytes(data.replace(np.full(9, 7, "f4").tobytes(), b"\1" * 36))
            before_rename(written, target)

        for module in (atomic, new_folder):
            monkeypatch.setattr(module, "before_rename", corrupt)

    def files(self, folder: Path) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    @pytest.mark.parametrize(
        ("format", "shards"),
        [*((each, False) for each in writable()), (Sharded(), True)],
        ids=lambda given: getattr(given, "name", None),
    )
    def test_in_every_format(
        self,
        format: Format,
        shards: bool,
        source: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        options = {"max_shard_size": 500} if shards else {}
        target = target_in(format, tmp_path / "out")
        if format.name not in NEVER_REPLACED:
            sd.write_state_dict({"old": np.ones(3, "f4")}, target, format=format)
        before = self.files(tmp_path / "out")
        self.failing_disk(monkeypatch)
        with pytest.raises(sd.FormatError, match=r"it was not replaced.*check the disk") as caught:
            sd.convert(source, target, format=format, **options)
        assert caught.value.source == target.rstrip("/")
        assert ".caten-partial" not in str(caught.value)
        assert self.files(tmp_path / "out") == before
        monkeypatch.undo()
        assert sd.convert(source, target, format=format, **options).tensors == 3

    def test_a_name_that_is_read_as_one_of_several_files(
        self, source: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "model-00001-of-00002.gguf"
        target.write_bytes(b"old")
        with pytest.raises(sd.FormatError, match=r"it was not replaced.*00002-of-00002"):
            sd.convert(source, target)
        assert target.read_bytes() == b"old"

    def test_a_fault_of_the_source_is_not_blamed_on_the_target(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(leaf: object) -> None:
            raise sd.FormatError(source, "it shrank", "get it again")

        monkeypatch.setattr("caten_sd.state.pieces.content_hash", fail)
        with pytest.raises(sd.FormatError) as caught:
            sd.convert(source, tmp_path / "out.npz")
        assert caught.value.source == str(source)
        assert os.listdir(tmp_path) == [source.name]

    def test_a_writer_that_replaces_its_target_itself_is_compared_too(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(atomic, "before_rename", lambda written, target: None)
        assert sd.convert(source, tmp_path / "out.npz").tensors == 3
        monkeypatch.setattr("caten_sd.state.pieces.content_hash", lambda leaf: b"")
        with pytest.raises(sd.FormatError, match=r"out.npz: 'h.0.w' does not read back"):
            sd.convert(source, tmp_path / "out.npz")


@pytest.mark.parametrize("name", ["out.safetensors", "out.pt", "out.msgpack", "out.gguf"])
@pytest.mark.parametrize("dtype", [None, "bf16"])
def test_one_bit_that_the_disk_flips_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str | None
) -> None:
    save_file({"w": torch.arange(96.0).reshape(2, 48).T.contiguous()}, tmp_path / "in.safetensors")
    real = conversion.read_uncommitted
    value = np.float32(37).tobytes()
    stored = value if dtype is None else value[2:] + np.float32(85).tobytes()[2:]

    def flipped(written: Path, target: Path) -> contextlib.AbstractContextManager[sd.StateDict]:
        data = bytearray(written.read_bytes())
        data[data.index(stored)] ^= 1
        written.write_bytes(data)
        return real(written, target)

    monkeypatch.setattr(conversion, "read_uncommitted", flipped)
    with pytest.raises(sd.FormatError, match="'w' does not read back"):
        sd.convert(tmp_path / "in.safetensors", tmp_path / name, dtype=dtype)
    assert not (tmp_path / name).exists()


def test_a_shape_that_does_not_read_back_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({"w": torch.ones(2, 3)}, tmp_path / "in.safetensors")
    real = conversion.read_uncommitted

    def turned(written: Path, target: Path) -> sd.StateDict:
        with real(written, target) as found:
            return sd.StateDict({"w": found["w"].numpy().reshape(3, 2)})

    monkeypatch.setattr(conversion, "read_uncommitted", turned)
    with pytest.raises(sd.FormatError, match="'w' does not read back"):
        sd.convert(tmp_path / "in.safetensors", tmp_path / "out.npz")


@pytest.mark.parametrize("key", ["", "w", "h.0.w"])
def test_one_array_without_a_name(tmp_path: Path, key: str) -> None:
    tensor = torch.arange(6).reshape(2, 3)
    torch.save({key: tensor} if key else tensor, tmp_path / "in.pt")
    done = sd.convert(tmp_path / "in.pt", tmp_path / "out.npy")
    assert (done.tensors, done.size) == (1, 48)
    assert np.array_equal(np.load(tmp_path / "out.npy"), tensor.numpy())
