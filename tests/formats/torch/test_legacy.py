from __future__ import annotations

import argparse
import collections
import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.format import read, recognize
from caten_sd.formats.torch.legacy import TorchLegacy
from caten_sd.formats.torch.legacy_stream import HEAD
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source, open_file

BASE = torch.arange(60, dtype=torch.float32)


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def source_of(data: bytes) -> Source:
    return Source("a.pt", BytesBacking(data), 0, len(data))


def tree(data: bytes) -> Any:
    assert recognize(TorchLegacy(), source_of(data))
    return read(TorchLegacy(), source_of(data)).tree


def same(leaf: Any, tensor: torch.Tensor) -> None:
    found = leaf.torch()
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip


def test_the_stream_of_every_dtype_and_view() -> None:
    given: dict[str, Any] = {str(dtype): BASE.to(dtype) for dtype in DTYPES}
    given |= {
        "transposed": BASE.reshape(6, 10).T,
        "window": BASE[5:11].reshape(2, 3),
        "0-d": torch.tensor(7),
        "empty": torch.empty(0, 2),
        "wide": torch.ones(3, dtype=torch.uint16),
        "parameter": nn.Parameter(torch.ones(2)),
    }
    given |= {"tied": given["parameter"]}
    found = tree(saved(collections.OrderedDict(given)))
    assert list(found) == list(given)
    for key, tensor in given.items():
        same(found[key], tensor)
    assert found["tied"] is found["parameter"]


def test_it_is_mapped_whole_or_part_by_part(tmp_path: Path) -> None:
    torch.save(
        {"model": {"big": torch.ones(3_000_000), "w": BASE}, "epoch": 3, "n": argparse.Namespace()},
        tmp_path / "a.pt",
        _use_new_zipfile_serialization=False,
    )
    for streaming in (True, False):
        source = open_file(tmp_path / "a.pt", streaming=streaming)
        found = read(TorchLegacy(), source).tree["model"]
        same(found["w"], BASE)
        assert found["w"].raw().obj.__class__.__name__ == "mmap"
        source.close()


def test_a_pickle_longer_than_what_is_tried_first_is_read_in_the_end(tmp_path: Path) -> None:
    given = {f"layers.{number}.weight": torch.full((1,), float(number)) for number in range(12_000)}
    (tmp_path / "a.pt").write_bytes(saved(given))
    source = open_file(tmp_path / "a.pt", streaming=True)
    found = read(TorchLegacy(), source).tree
    assert list(found) == list(given)
    same(found["layers.11999.weight"], given["layers.11999.weight"])
    source.close()


def test_a_class_is_kept_with_its_source_and_not_asked_for() -> None:
    linear = nn.Linear(2, 2)
    net = nn.Sequential(linear)
    same(tree(saved(net))["0"]["weight"], linear.weight)
    kept = saved(net).replace(
        b"torch.nn.modules.linear\nLinear", b"gone.nn.modules.linear2\nLinear"
    )
    assert list(tree(kept)["0"]) == ["weight", "bias"]


@pytest.mark.parametrize("protocol", range(6))
def test_bare_pickles_of_arrays_and_of_tensors(protocol: int) -> None:
    given = {"w": np.arange(6.0).reshape(2, 3), "t": BASE, "view": BASE[3:5], "n": 1}
    found = tree(pickle.dumps(given, protocol))
    np.testing.assert_array_equal(found["w"].numpy(), given["w"])
    same(found["t"], BASE)
    same(found["view"], BASE[3:5])
    assert found["n"] == 1


def test_arrays_of_a_bare_pickle_stay_in_the_map(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"w": np.arange(3_000_000)}, 4))
    with read_state_dict(tmp_path / "a.pkl") as found:
        assert found["w"].raw().obj.__class__.__name__ == "mmap"


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_tensors_as_torch_0_1_pickled_them() -> None:
    typed: Any = BASE
    kept = saved(typed.storage())
    storage = (
        b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(kept)) + kept + b"\x85R"
    )
    data = b"\x80\x03ctorch\nFloatTensor\n)\x81(" + storage + b"K\1K\2K\3\x86K\3K\1\x86tb."
    same(tree(data)[""], BASE[1:7].reshape(2, 3))


class Call:
    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> Any:
        return self.reduced


def dump(value: Any) -> bytes:
    return pickle.dumps(value, 2)


LEGACY = saved({"w": BASE[:6].clone()})
PARTS = [HEAD, *[dump(part) for part in (1001, {"little_endian": True})]]


def stream(*parts: bytes) -> bytes:
    return b"".join(parts)


HOSTILE = {
    "other magic": (HEAD[:5] + b"\0" + HEAD[6:], "holds an int"),
    "other protocol": (stream(PARTS[0], dump(9999)), "its protocol is 9999, not 1001"),
    "protocol of text": (stream(PARTS[0], dump("x")), "its protocol is 'x'"),
    "big endian": (stream(*PARTS[:2], dump({"little_endian": False})), "big-endian machine"),
    "no machine": (stream(*PARTS[:2], dump([])), "big-endian machine"),
    "truncated": (LEGACY[:-1], "1 bytes short of storage"),
    "no storages": (LEGACY[:-32], "bytes short"),
    "bytes after": (LEGACY + b"x", "1 bytes follow its data"),
    "count": (LEGACY[:-32] + struct.pack("<q", 2**60) + LEGACY[-24:], "elements.* 6"),
    "negative count": (LEGACY[:-32] + struct.pack("<q", -6) + LEGACY[-24:], "has -6 elements"),
    "keys of text": (stream(*PARTS, dump({}), dump("0")), "storages .* its tensors name"),
    "keys nobody asked for": (
        stream(*PARTS, dump({}), dump(["9"])),
        "storages .* its tensors name",
    ),
    "deep keys": (
        stream(*PARTS, dump({}), b"]" * 99_999 + b"a" * 99_998 + b"."),
        "storages .* its tensors name",
    ),
    "os.system first": (dump(Call(exec, "1")), "asks to call builtins.exec"),
    "os.system in the machine": (
        stream(*PARTS[:2], dump(Call(exec, "1"))),
        "asks to call builtins",
    ),
    "os.system in the object": (
        stream(*PARTS, dump(Call(exec, "1"))),
        "asks to call builtins.exec",
    ),
    "os.system in the keys": (stream(*PARTS, dump({}), dump(Call(exec, "1"))), "asks to call"),
    "bare with bytes after": (dump({}) + b"x", "1 bytes follow its pickle"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_lie_are_refused(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(FormatError, match=words) as caught:
        read(TorchLegacy(), source_of(data))
    assert str(caught.value).startswith("a.pt")


def persistent(view: Any, count: int = 6, key: str = "0") -> bytes:
    """Return a stream whose tensor lies in a view of a storage, as torch once wrote them."""

    class Point(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, torch.Generator):
                return ("storage", torch.FloatStorage, key, "cpu", count, view)
            return None

    file = io.BytesIO()
    held = torch.Generator()
    value = Call(torch._utils._rebuild_tensor, held, 0, (2,), (1,))
    Point(file, 2).dump({"w": value})
    body = file.getvalue() + dump([key]) + struct.pack("<q", 6) + BASE[:6].numpy().tobytes()
    return stream(*PARTS, body)


def test_views_of_storages() -> None:
    assert tree(persistent(None))["w"].numpy().tolist() == [0, 1]
    assert tree(persistent(("v", 3, 2)))["w"].numpy().tolist() == [3, 4]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (persistent(("v", 2**40, 6)), "bytes short"),
        (persistent(("v", -1, 6)), "before its beginning"),
        (persistent(("v", 0)), "lacks its key, offset or size"),
        (persistent((1, 0, 6)), "lacks its key, offset or size"),
        (persistent(("v", 0, 1)), "reaches to element 1, and its storage has 1"),
        (persistent(None, count=7), "has 6 elements.* 7"),
    ],
)
def test_views_past_their_storage_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        tree(data)


def test_it_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="read; name the file"):
        write_state_dict({"w": BASE}, tmp_path / "w.pkl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"\x80", b"hello", b"\x80\x09N.", b"(maybe.", b"PK\3\4"])
def test_other_files_are_not_recognized(data: bytes) -> None:
    assert recognize(TorchLegacy(), source_of(data)) is None


def test_a_tensor_alone_has_the_empty_name() -> None:
    same(tree(saved(BASE))[""], BASE)


@pytest.mark.parametrize("value", [argparse.Namespace(a=1), 7, "text", None, torch.float32])
def test_what_holds_no_tensors_is_refused(value: Any) -> None:
    with pytest.raises(FormatError, match=r"its pickle holds .*; check the file"):
        tree(pickle.dumps(value))
