from __future__ import annotations

import collections
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd.errors import FormatError
from caten_sd.files.format import read, recognize
from caten_sd.formats.torch.legacy import TorchLegacy
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

BASE = torch.arange(60, dtype=torch.float32)


def source_of(data: bytes) -> Source:
    return Source("a.pt", BytesBacking(data), 0, len(data))


class Call:
    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> Any:
        return self.reduced


def tar_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def dump(value: Any) -> bytes:
    return pickle.dumps(value, 2)


class Tagged(pickle.Pickler):
    """Writes a tensor as its number, which is how the tar's pickle points at one."""

    def persistent_id(self, obj: Any) -> Any:
        return str(obj[1]) if isinstance(obj, tuple) and obj[:1] == ("tensor",) else None


def tar(**changed: bytes) -> bytes:
    """Return what torch 0.1 saved of {"w": a tensor, "v": a view of a view of its storage}."""
    pickled = io.BytesIO()
    Tagged(pickled, 2).dump(collections.OrderedDict(w=("tensor", 10), v=("tensor", 11)))
    storages = dump(1) + dump((1, "cpu", torch.FloatStorage)) + struct.pack("<q", 60)
    storages += BASE.numpy().tobytes() + dump([(2, 1, 12, 6)])
    tensors = dump(2)
    for key, storage, shape, stride, offset in (
        (10, 1, (6, 10), (1, 6), 0),
        (11, 2, (3,), (2,), 1),
    ):
        axes = len(shape)
        tensors += dump((key, storage, torch.FloatTensor)) + struct.pack("<ii", axes, 0)
        tensors += struct.pack(f"<{axes}q{axes}qq", *shape, *stride, offset)
    members = {
        "sys_info": dump({"protocol_version": 1000, "little_endian": True}),
        "pickle": pickled.getvalue(),
        "tensors": tensors,
        "storages": storages,
    }
    return tar_of(**{name: data for name, data in {**members, **changed}.items() if data != b"-"})


@pytest.mark.filterwarnings("ignore")
def test_the_tar_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(tar())
    expected = torch.load(tmp_path / "a.pt", weights_only=False)
    assert recognize(TorchLegacy(), source_of(tar()))
    found = read(TorchLegacy(), source_of(tar())).tree
    assert list(found) == list(expected) == ["w", "v"]
    assert torch.equal(found["w"].torch(), expected["w"])
    assert torch.equal(found["v"].torch(), expected["v"])
    assert found["v"].numpy().tolist() == [13, 15, 17]


TAR = tar()
HOSTILE = {
    "tar without a member": (tar(tensors=b"-"), "without .* 'tensors'"),
    "tar of another machine": (tar(sys_info=dump({})), "big-endian machine"),
    "tar with os.system": (tar(pickle=dump(Call(exec, "1"))), "asks to call builtins.exec"),
    "tar cut": (TAR[:700], "bytes short|without the member"),
    "tar header": (TAR.replace(b"ustar\x00" + b"00", b"ustar\x00" + b"01", 1), "wrong checksum"),
    "tar size": (TAR[:124] + b"9" * 11 + TAR[135:], "malformed|checksum"),
    "tar storages": (tar(storages=dump(1) + dump((1, "cpu", 7)) + bytes(8)), "torch storage class"),
    "tar count": (tar(storages=dump(2**40)), "not a count"),
    "tar storage too long": (
        tar(storages=dump(1) + dump((1, "cpu", torch.FloatStorage)) + struct.pack("<q", 2**50)),
        "bytes short",
    ),
    "tar views": (tar(storages=dump(0) + dump([(1, 2, 3, 4)])), "lists are malformed"),
    "tar views of numbers": (tar(storages=dump(0) + dump(7)), "lists are malformed"),
    "tar key": (
        tar(storages=dump(1) + dump(("x", "cpu", torch.FloatStorage)) + bytes(8)),
        "not a key",
    ),
    "tar axes": (
        tar(tensors=dump(1) + dump((1, 1, torch.FloatTensor)) + struct.pack("<ii", 10**6, 0)),
        "has 1000000 axes",
    ),
    "tar tensor absent": (tar(tensors=dump(0)), "malformed"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_lie_are_refused(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(FormatError, match=words) as caught:
        read(TorchLegacy(), source_of(data))
    assert str(caught.value).startswith("a.pt")


def test_a_tar_of_links_or_twice_the_same_is_refused() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        info = tarfile.TarInfo("pickle")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(info)
    with pytest.raises(FormatError, match="'pickle' is not a regular file"):
        read(TorchLegacy(), source_of(file.getvalue()))
    twice = tar_of(pickle=b"")[:512] + tar_of(pickle=b"")
    with pytest.raises(FormatError, match=r"'pickle' .* twice"):
        read(TorchLegacy(), source_of(twice))
