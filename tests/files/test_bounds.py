"""Small files that ask for much: each is refused in one sentence, in little time and memory."""

from __future__ import annotations

import json
import os
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

import caten_sd as sd

SECONDS, MEMORY = 3, 400 << 20  # of the processor, and over what a process has
PROTOCOL = b"\x80\x02"


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


LAUGHS = (
    b"]("
    + b"".join(b"K" + bytes([n]) for n in range(1, 9))
    + b"eq\x01"
    + b"".join(b"0](" + (b"h" + bytes([i])) * 10 + b"eq" + bytes([i + 1]) for i in range(1, 10))
)
ARRAY = (
    name("numpy._core.numeric", "_frombuffer")
    + b"(C\x03abc"
    + name("numpy", "dtype")
    + text("u1")
    + b"K\x00K\x01\x87RK\x03\x85"
    + text("C")
    + b"tR"
)
ENDLESS = (
    name("numpy._core.numeric", "_frombuffer")
    + b"(C\x00"
    + name("numpy", "dtype")
    + text("u1")
    + b"K\x00K\x01\x87R(\x8a\x08"
    + struct.pack("<q", 2**61)
    + b"K\x02K\x00t"
    + text("C")
    + b"tR"
)


def tower() -> bytes:
    """Sets of sets, each of which holds the one before it ten times."""
    made = name("builtins", "frozenset")
    data = made + b"(" + b"".join(b"K" + bytes([n]) for n in range(10)) + b"l\x85Rq\x010"
    for n in range(1, 10):
        items = b"".join(b"h" + bytes([n]) + b"K" + bytes([i]) + b"\x86" for i in range(10))
        data += made + b"(" + items + b"l\x85Rq" + bytes([n + 1]) + b"0"
    return data


def header(tree: Any, data: bytes = b"") -> bytes:
    content = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return struct.pack("<Q", len(content)) + content + data


def shape_of(rank: int) -> bytes:
    sizes = b",".join([b"9223372036854775807"] * rank)
    return header(
        b'{"w":{"dtype":"F32","shape":[' + sizes + b'],"data_offsets":[0,24]}}', bytes(24)
    )


def flax(array: np.ndarray, shape: Any = None) -> msgpack.ExtType:
    fields = (list(array.shape) if shape is None else shape, array.dtype.name, array.tobytes())
    return msgpack.ExtType(1, msgpack.packb(fields))


ROW = np.zeros(3, "u1")
LAYOUT = name("torch.serialization", "_get_layout")
FILES: dict[str, bytes] = {
    "iterated.pkl": PROTOCOL + name("collections", "OrderedDict") + ENDLESS + b"\x85R.",
    "tower.pkl": PROTOCOL + tower() + b"}h\x0a" + ARRAY + b"s.",
    "calls.pkl": PROTOCOL + name("copyreg", "__newobj__") + b"q\0(" + b"h\0" * 3000 + b"tR.",
    "laughs/.metadata": PROTOCOL + LAUGHS + b"0" + LAYOUT + b"h\x0a\x85R.",
    "codec/.metadata": PROTOCOL + LAYOUT + b"C\x02ab" + text("nosuchcodec") + b"\x86R.",
    "rank.safetensors": shape_of(300),
    "ranks.safetensors": shape_of(100_000),
    "surrogate.safetensors": header(
        {"\ud800": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}
    ),
    "deep.safetensors": header(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "rank.msgpack": msgpack.packb({"w": flax(ROW, [2**62] * 70)}),
    "joined.msgpack": msgpack.packb({"k" * 200_000: {f"l{n}": flax(ROW) for n in range(5000)}}),
    "deep.msgpack": b"\x81\xa1w" * 50_000 + msgpack.packb(flax(ROW)),
    "n" * 200 + ".npy": b"\x93NUMPY\x01\0\xff\xff" + b"(" * 65_000,
}


def in_child(work: Callable[[], str]) -> str:
    """Return what a forked child says, or how it ended; it may take little time and memory."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, spent + SECONDS))
        try:
            said = work()
        except sd.CatenError as error:
            said = f"refused: {error}"
        except BaseException as error:
            said = f"foreign: {type(error).__name__}: {error}"
        os.write(writing, said.encode(errors="replace")[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    return said or f"ended by signal {os.WTERMSIG(status)}"


def opened(path: Path) -> str:
    found = sd.read_state_dict(path)
    return f"read {len(found)}"


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_asks_for_much_is_refused_soon(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(FILES[file])
    if path.name == ".metadata":
        (path.parent / "__0_0.distcp").touch()
        path = path.parent
    said = in_child(lambda: opened(path))
    assert said.startswith(("refused: ", "read ")), said
    assert "\n" not in said


def test_a_path_longer_than_the_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sd.FormatError):
        sd.read_state_dict(tmp_path / ("x" * 4200))


def test_a_million_plain_numbers_next_to_a_model_cost_little(tmp_path: Path) -> None:
    numbers = [float(n) for n in range(1_000_000)]
    path = tmp_path / "run.pt"
    torch.save({"model": {"w": torch.ones(2)}, "epoch": 3, "losses": numbers}, path)
    said = in_child(lambda: opened(path))
    assert said == "read 1"


@pytest.mark.parametrize(
    "dtype", ["float8_e5m2", "float8_e4m3fn", "bfloat16", "float16", "float64"]
)
def test_a_negated_tensor_is_read(dtype: str, tmp_path: Path) -> None:
    given = torch.tensor([1.0, -2.0, 0.0]).to(getattr(torch, dtype))
    torch.save({"w": torch._neg_view(given)}, tmp_path / "w.pt")
    found = sd.read_state_dict(tmp_path / "w.pt")["w"].numpy()
    assert found.astype("f4").tolist() == [-1.0, 2.0, -0.0]


@pytest.mark.parametrize("target", ["w.safetensors", "w.npz", "w.pt", "d.dcp/", "f.npy/", "s/"])
def test_a_relative_path_stays_what_it_was(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_shard_size": "8B"} if target == "s/" else {}
    for folder, value in (("A", 1.0), ("B", 2.0)):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        state = {"w": np.full(3, value, "f4"), "v": np.full(2, value, "f4")}
        sd.write_state_dict(state, target, **options)
    monkeypatch.chdir(tmp_path / "A")
    found = sd.read_state_dict(target.rstrip("/"))
    monkeypatch.chdir(tmp_path / "B")
    assert found["w"].numpy().tolist() == [1.0] * 3
    assert found["v"].numpy().tolist() == [1.0] * 2
