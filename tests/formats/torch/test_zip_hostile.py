"""torch zips whose parts disagree, or that ask for what no checkpoint needs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.errors import CatenError, FormatError
from caten_sd.files.format import read
from caten_sd.files.which_tree import model_tree
from caten_sd.formats.torch.zip import TorchZip
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source
from tests.properties import examples

BASE = torch.arange(60, dtype=torch.float32)


def saved(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def contents(data: bytes) -> Any:
    return read(TorchZip(), Source("a.pt", BytesBacking(data), 0, len(data)))


def rewritten(data: bytes, **members: bytes | None) -> bytes:
    """Return the zip with members replaced, added, or left out, by their name below the root."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        wanted = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        for name, content in {**wanted, **members}.items():
            if content is not None:
                new.writestr(f"any name/{name}", content)
    return file.getvalue()


class Evil:
    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> Any:
        return self.reduced


GOOD = saved({"w": BASE[:6].clone()})
PICKLE = zipfile.ZipFile(io.BytesIO(GOOD)).read("archive/data.pkl")


def edited(old: bytes, new: bytes) -> bytes:
    assert old in PICKLE
    return rewritten(GOOD, **{"data.pkl": PICKLE.replace(old, new, 1)})


HOSTILE = {
    "no zip": (b"hello", "neither a zip file"),
    "no data.pkl": (rewritten(GOOD, **{"data.pkl": None}), "without .*data.pkl"),
    "order": (rewritten(GOOD, byteorder=b"middle"), "b'middle'.* little or big"),
    "storage absent": (edited(b"X\1\0\0\0000", b"X\1\0\0\0007"), "no member 'any name/data/7'"),
    "storage by a path": (
        edited(b"X\1\0\0\0000", b"X\x0b\0\0\0../data.pkl"),
        r"no member 'any name/data/\.\./data.pkl'",
    ),
    "storage by a number": (edited(b"X\1\0\0\0000", b"K\0"), "a storage has the key 0"),
    "storage short": (rewritten(GOOD, **{"data/0": bytes(20)}), "it has 20 bytes, .* 6 elements"),
    "storage long": (rewritten(GOOD, **{"data/0": bytes(28)}), "it has 28 bytes, .* 6 elements"),
    "other storage": (
        edited(b"torch\nFloatStorage", b"torch\nEvilStorage"),
        "not a torch storage class",
    ),
    "storage of another": (
        edited(b"torch\nFloatStorage", b"other\nFloatStorage"),
        "not a torch storage class",
    ),
    "pid of another kind": (edited(b"storageq", b"filenodq"), "does not name a storage"),
    "count": (edited(b"cpuq\6K\6", b"cpuq\6K\7"), "it has 24 bytes, .* 7 elements"),
    "shape": (edited(b"K\6\x85", b"K\7\x85"), "reaches to element 6, and its storage has 6"),
    "no shape": (edited(b"K\6\x85", b"NN0\x85"), "not sizes"),
    "other function": (
        edited(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
        "asks to call torch._ut",
    ),
    "bytes after": (rewritten(GOOD, **{"data.pkl": PICKLE + b"N."}), "bytes follow the pickle"),
    "two roots": (rewritten(rewritten(GOOD), **{"x/../data.pkl": b""}), "leads out"),
    "os.system": (
        saved({"w": BASE, "x": Evil(os.system, "touch canary")}),
        "asks to call posix.system",
    ),
    "in a parameter": (
        saved({"w": Evil(torch._utils._rebuild_parameter, Evil(eval, "1"), True, {})}),
        "call builtins.eval",
    ),
    "by a subclass": (
        saved(
            {
                "w": Evil(
                    torch._tensor._rebuild_from_type_v2, os.system, torch.Tensor, ("true",), None
                )
            }
        ),
        "asks to call posix.system",
    ),
    "in a storage": (
        saved({"w": Evil(torch.storage._load_from_bytes, pickle.dumps(Evil(os.system, "true")))}),
        "asks to call posix.system",
    ),
    "no storage in a storage": (
        saved(
            {
                "w": Evil(
                    torch.storage._load_from_bytes, saved([], _use_new_zipfile_serialization=False)
                )
            }
        ),
        "does not hold a storage",
    ),
    "script of no text": (
        rewritten(
            GOOD, **{"data.pkl": b"c__torch__.M\nM\n)\x81}b.", "code/__torch__/M.py": b"\xff"}
        ),
        "M.py is not text",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_the_pickle_and_the_zip_disagree_on_is_refused(case: str, tmp_path: Path) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(FormatError, match=words) as caught:
        contents(data)
    assert str(caught.value).startswith("a.pt")
    assert not (Path.cwd() / "canary").exists()


def test_files_within_files_end() -> None:
    head = saved([], _use_new_zipfile_serialization=False)[: -2 * len(pickle.dumps([], 2))]
    assert pickle.loads(head) == 0x1950A86A20F9469CFC6C
    data = b""
    for _ in range(6):
        inner = Evil(torch.storage._load_from_bytes, data)
        data = head + pickle.dumps(inner, 2) + pickle.dumps([], 2)
    outer = pickle.dumps(Evil(torch.storage._load_from_bytes, data), 2)
    with pytest.raises(FormatError, match="nests such files"):
        contents(rewritten(GOOD, **{"data.pkl": outer}))


def test_a_packed_pickle_that_unfolds_a_thousandfold_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("a/data.pkl", b"\x80\x02" + b"N0" * 1_000_000 + b"N.")
    with pytest.raises(FormatError, match="has 2000004 bytes, "):
        contents(file.getvalue())


RICH = saved(
    {
        "module": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)),
        "view": BASE.reshape(6, 10).T,
        "wide": torch.ones(2, dtype=torch.uint16),
        "conjugate": torch.tensor([1j]).conj(),
        "sparse": torch.eye(2).to_sparse(),
        "nested": {"state": {1: {"step": (1, 2.5, None)}}},
    }
)
RICH_PICKLE = zipfile.ZipFile(io.BytesIO(RICH)).read("archive/data.pkl")


def damaged(data: bytes, choices: st.DataObject) -> bytes:
    changed = bytearray(data)
    for _ in range(choices.draw(st.integers(1, 3))):
        at = choices.draw(st.integers(0, len(changed) - 1))
        new = choices.draw(
            st.binary(max_size=1) | st.sampled_from([b"(", b"t", b"R", b"\x85", b"0"])
        )
        changed[at : at + choices.draw(st.integers(0, 4))] = new
    return bytes(changed)


@settings(max_examples=examples(150))
@given(st.data(), st.booleans())
def test_damage_never_escapes_the_librarys_own_error(choices: st.DataObject, inside: bool) -> None:
    data = damaged(RICH_PICKLE if inside else RICH, choices)
    data = rewritten(RICH, **{"data.pkl": data}) if inside else data
    with contextlib.suppress(CatenError):
        for leaf in model_tree(contents(data).tree, "a.pt").leaves.values():
            leaf.numpy()
