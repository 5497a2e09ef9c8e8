from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from caten_sd.errors import CatenError, FormatError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.formats.archive import Archive
from caten_sd.state.backing import FileBacking

ARRAYS = {"w": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(3, "f4")}
MODES = {".tar": "w", ".nemo": "w", ".tar.gz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


def torch_file(value: Any = None) -> bytes:
    file = io.BytesIO()
    torch.save(value or {key: torch.tensor(array) for key, array in ARRAYS.items()}, file)
    return file.getvalue()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    """Write files into an archive of the kind that the path's suffix names."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
        return path
    mode: Any = next(m for suffix, m in MODES.items() if path.name.endswith(suffix))
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def load(path: Any) -> dict[str, Any]:
    with read_state_dict(path) as found:
        return {key: leaf.numpy().copy() for key, leaf in found.items()}


def same(found: dict[str, Any]) -> None:
    assert set(found) == set(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("suffix", [*MODES, ".zip"])
@pytest.mark.parametrize("name", ["./model_weights.ckpt", "export/model_weights.ckpt"])
def test_the_one_checkpoint_is_found(tmp_path: Path, suffix: str, name: str) -> None:
    files = {"./model_config.yaml": b"x: 1", name: torch_file()}
    path = archive(tmp_path / f"model{suffix}", files)
    same(load(path))
    same(load(path.rename(tmp_path / "anything.xyz")))
    inner = name.removeprefix("./")
    with read_state_dict(tmp_path / "anything.xyz") as found:
        assert found.origin == f"torch zip, {inner} in the archive"
    assert [each.name for each in tmp_path.iterdir()] == ["anything.xyz"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_shards_and_distributed_checkpoints_in_an_archive(tmp_path: Path, suffix: str) -> None:
    for number, target in enumerate(("shards", "dist.dcp")):
        out = tmp_path / target
        options = {"max_shard_size": 20} if target == "shards" else {}
        write_state_dict(ARRAYS, out, **options)
        files = {f"top/{target}/{p.name}": p.read_bytes() for p in out.iterdir()}
        same(load(archive(tmp_path / f"{number}{suffix}", {"top/config.json": b"{}", **files})))


def test_of_several_none_is_guessed_and_each_can_be_named(tmp_path: Path) -> None:
    files = {"a/one.safetensors": save(ARRAYS), "two.safetensors": save({"v": np.ones(2)})}
    for suffix in (".tar", ".tar.gz", ".zip"):
        path = archive(tmp_path / f"m{suffix}", files)
        with pytest.raises(FormatError, match=r"2 checkpoints .*one.safetensors \(\d+ bytes\)"):
            read_state_dict(path)
        same(load(f"{path}::a/one.safetensors"))
        assert list(load(f"{path}::two.safetensors")) == ["v"]
        with pytest.raises(FormatError, match=r"no member 'three'; it has a/one.safetensors"):
            read_state_dict(f"{path}::three")


def test_only_an_archive_has_members(tmp_path: Path) -> None:
    write_state_dict(ARRAYS, tmp_path / "w.safetensors")
    with pytest.raises(FormatError, match=r"not an archive .*'x'; leave out"):
        read_state_dict(f"{tmp_path}/w.safetensors::x")
    odd = tmp_path / "a::b.safetensors"
    write_state_dict(ARRAYS, odd)
    same(load(odd))


def test_a_tar_is_not_read_beyond_its_headers(tmp_path: Path, monkeypatch: Any) -> None:
    big = {f"w{n}": np.zeros(1 << 18) for n in range(8)}
    path = archive(tmp_path / "m.tar", {"model.safetensors": save(big), "x.bin": bytes(1 << 20)})
    read = FileBacking.read
    taken = []

    def counted(self: FileBacking, start: int, count: int) -> bytes:
        taken.append(count)
        return read(self, start, count)

    monkeypatch.setattr(FileBacking, "read", counted)
    with read_state_dict(path) as found:
        assert found["w3"][5:9].numpy().tolist() == [0] * 4
    assert sum(taken) < 50_000


def test_errors_name_the_member(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.nemo", {"model_weights.ckpt": torch_file()[:-30]})
    with pytest.raises(FormatError, match=r"m\.nemo::model_weights\.ckpt: "):
        read_state_dict(path)


def test_closing_closes_what_was_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tar.gz", {"model.safetensors": save(ARRAYS)})
    found = read_state_dict(path)
    array = found["w"].numpy()
    found.close()
    np.testing.assert_array_equal(array, ARRAYS["w"])
    with pytest.raises(CatenError, match="closed"):
        found["b"].numpy()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_not_followed(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "secret.pt").write_bytes(torch_file())
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        info = tarfile.TarInfo("model.pt")
        info.type, info.linkname = kind, str(tmp_path / "secret.pt")
        tar.addfile(info)
    with pytest.raises(FormatError, match=r"::model\.pt: it is a (link|device)"):
        read_state_dict(tmp_path / "m.tar")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "zero bytes|none of the known"),
        ({"readme.md": b"x"}, "it holds readme.md"),
        ({"../w.pt": b"x"}, "leads out"),
        ({"inner.tar": gzip.compress(b"")}, "gzip data|archive in an archive"),
    ],
)
def test_archives_without_a_checkpoint(
    tmp_path: Path, files: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(FormatError, match=problem):
        read_state_dict(archive(tmp_path / "m.tar", files))


def test_an_archive_in_an_archive_stays_closed(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.nemo", {"model.pt": torch_file()}).read_bytes()
    with pytest.raises(FormatError, match="an archive in an archive"):
        read_state_dict(archive(tmp_path / "outer.nemo", {"inner.nemo": inner}))


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        for data in (torch_file(), b"other"):
            info = tarfile.TarInfo("model.pt")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(FormatError, match="two members named"):
        read_state_dict(tmp_path / "m.tar")


def test_a_packed_tar_that_breaks_off(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tar.gz", {"model.safetensors": save(ARRAYS)})
    data = path.read_bytes()
    for size in (10, 100, len(data) // 2, len(data) - 8, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError, match="too early"):
            read_state_dict(path)


def test_a_member_that_is_no_checkpoint_of_a_packed_tar_is_not_kept(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tar.gz", {"a.txt": b"x", "model.safetensors": save(ARRAYS)})
    with pytest.raises(FormatError, match="none of the known"):
        read_state_dict(f"{path}::a.txt")


def test_a_zip_whose_member_is_a_link(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("model.pt")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(FormatError, match="it is a link"):
        read_state_dict(tmp_path / "m.zip")


def test_what_is_named_as_an_archive_and_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.nemo").write_bytes(b"\1some bytes" * 100)
    with pytest.raises(FormatError, match="checksum"):
        read_state_dict(tmp_path / "m.nemo")
    with pytest.raises(FormatError, match="checksum"):
        read_state_dict(tmp_path / "m.nemo", format=Archive())
