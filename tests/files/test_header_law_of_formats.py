"""Every format has a file that the law of headers is tried on: here those of zip files of torch,
of one array, and of folders that hold files of other formats.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from caten_sd.files.catalog import find_format
from caten_sd.files.checkpoint import open_source
from caten_sd.files.declarations import built_in_formats
from tests.files.test_bounds import PROTOCOL, beside_an_array
from tests.files.test_header_law import FILES, M, each, keeps_the_law, packed, saved

RANKS = ("consolidated.00.pth", "consolidated.01.pth")
KINDS = {  # the format of a row, by the end of its name
    "safetensors": ("metadata.safetensors", "tensors.safetensors"),
    "sharded": ("model.safetensors.index.json",),
    "torch legacy": (".pkl",),
    "msgpack": (".msgpack",),
    "gguf": (".gguf",),
    "npz": (".npz",),
    "eqx": (".eqx",),
    "archive": (".tar", ".tar.gz"),
    "npy folder": ("caten_sd.json",),
    "dcp": (".metadata",),
    "orbax": ("_METADATA", "nodes"),
}


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def torch_zip(pickled: bytes, storages: int = 0) -> bytes:
    members = {f"a/data/{n}": b"" for n in range(storages)}
    return zipped({"a/data.pkl": pickled, "a/version": b"3\n", "a/byteorder": b"little", **members})


def names(count: int) -> bytes:
    pairs = each(count, lambda name: b"\x8c" + bytes([len(name)]) + name + b"N")
    return PROTOCOL + b"}(" + pairs + b"u."


def program(count: int) -> bytes:
    """Return an exported program with one weight, which its list has under so many keys."""
    file = io.BytesIO()
    exported = torch.export.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),))
    torch.export.save(exported, file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = next(name for name in members if name.endswith("_weights_config.json"))
    listed = json.loads(members[config])
    entry = next(iter(listed["config"].values()))
    listed["config"] = {f"{n:x}": entry for n in range(count)}
    members[config] = json.dumps(listed, separators=(",", ":")).encode()
    return zipped(members)


def npy_header(count: int) -> bytes:
    """Return an array whose header has so many spaces, as version 2 may have."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + b" " * count + b"\n"
    return b"\x93NUMPY\2\0" + len(text).to_bytes(4, "little") + text + bytes(12)


NUMBERS = PROTOCOL + b"](" + b"K\1" * 9 * M + b"e."
ROWS: dict[str, tuple[str, Callable[[], dict[str, bytes]]]] = {
    "numbers of a zip": ("torch zip", lambda: {"a.pt": torch_zip(NUMBERS)}),
    "names of a zip": ("torch zip", lambda: {"a.pt": torch_zip(names(M))}),
    "members of a zip": ("torch zip", lambda: {"a.pt": torch_zip(PROTOCOL + b"}.", M // 5)}),
    "weights of a program": ("torch export", lambda: {"a.pt2": program(M // 10)}),
    "spaces": ("npy", lambda: {"a.npy": npy_header(40 * M)}),
    "numbers of ranks": ("ranks", lambda: dict.fromkeys(RANKS, beside_an_array(b"K\1" * 4 * M))),
    "numbers in a folder": ("folder", lambda: {"model.msgpack": packed([1000] * 6 * M)}),
    "arrays in a folder": (
        "npy folder",
        lambda: {f"{n:x}.npy": saved(np.zeros(1)) for n in range(M // 100)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_a_file_of_this_format_keeps_the_law(row: str, tmp_path: Path) -> None:
    name, make = ROWS[row]
    size = sum((tmp_path / member).write_bytes(data) for member, data in make().items())
    files = list(tmp_path.iterdir())
    path = files[0] if len(files) == 1 and name not in ("folder", "npy folder") else tmp_path
    assert find_format(open_source(path)).name == name
    keeps_the_law(path, size)


def test_every_format_has_a_row() -> None:
    by_end = {name for name, ends in KINDS.items() if any(file.endswith(ends) for file in FILES)}
    assert by_end | {name for name, _ in ROWS.values()} == {
        kind.load().name for kind in built_in_formats()
    }
