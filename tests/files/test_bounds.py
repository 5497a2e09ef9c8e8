"""Small files that ask for much: each is refused in one sentence, in little time and memory."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

import caten_sd as sd
from tests.files.fresh_process import reading
from tests.properties import sampled

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


MANY = 1_000_000


def beside_an_array(values: bytes) -> bytes:
    """Return a pickle of a dict with an array, and a list of what the opcodes make."""
    return PROTOCOL + b"}(" + text("w") + ARRAY + text("z") + b"(" + values + b"lu."


def dcp_with(planner_data: bytes) -> bytes:
    fields = text("state_dict_metadata") + b"}" + text("planner_data") + planner_data
    made = name("torch.distributed.checkpoint.metadata", "Metadata") + b")\x81"
    return PROTOCOL + made + b"}(" + fields + text("storage_data") + b"}ub."


def npz_with(pickled: bytes) -> bytes:
    """Return an archive with an array, and one of objects that holds this pickle."""
    plain, objects, file = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(plain, ROW)
    np.save(objects, np.array([None], object), allow_pickle=True)
    start = objects.getvalue().index(b"\n") + 1
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w.npy", plain.getvalue())
        archive.writestr("o.npy", objects.getvalue()[:start] + pickled)
    return file.getvalue()


SCALAR = {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
CROWDED: dict[str, bytes] = {
    "only.pkl": PROTOCOL + b"(" + b"]" * 3 * MANY + b"l.",
    "lists.pkl": beside_an_array(b"]" * 3 * MANY),
    "dicts.pkl": beside_an_array(b"}" * 3 * MANY),
    "sets.pkl": beside_an_array(b"\x8f" * 3 * MANY).replace(PROTOCOL, b"\x80\4", 1),
    "tuples.pkl": beside_an_array(b")" * 3 * MANY),
    "pairs.pkl": beside_an_array(b"]]a" * MANY),
    "ones.pkl": beside_an_array(b")\x85" * MANY),
    "none.pkl": beside_an_array(b"N" * 3 * MANY),
    "memo.pkl": beside_an_array(b"N" + b"\x94" * 3 * MANY).replace(PROTOCOL, b"\x80\4", 1),
    "copies.pkl": beside_an_array(
        b"N" * 9999 + b"\x85" + name("collections", "deque") + b"q\0("
        + b"N" * 10_000 + b"l\x85q\1" + b"h\0h\1R" * 10_000
    ),
    "again.pkl": beside_an_array(b"](" + b"K\1" * 2000 + b"eq\1" + b"h\1" * MANY),
    "tensors.safetensors": header(
        {f"layers.{i}.w": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]}
         for i in range(MANY // 4)}, bytes(MANY // 4)
    ),
    "texts.msgpack": msgpack.packb({"w": flax(ROW), "a": ["ab"] * 2 * MANY}),
    "keys.msgpack": msgpack.packb({"w": flax(ROW), "a": {f"{i}": 1 for i in range(MANY)}}),
    "lists.msgpack": msgpack.packb({"w": flax(ROW), "a": [[]] * 2 * MANY}),
    "dicts.msgpack": msgpack.packb({"w": flax(ROW), "a": [{}] * 2 * MANY}),
    "nested.msgpack": msgpack.packb({"w": flax(ROW), "a": [[{}]] * MANY}),
    "numbers.msgpack": msgpack.packb({"w": flax(ROW), "a": [1] * 2 * MANY}),
    "metadata.safetensors": header({"__metadata__": {"x": [{}] * MANY}, "w": SCALAR}, bytes(4)),
    "entry.safetensors": header({"x": [[[]]] * MANY, "w": SCALAR}, bytes(4)),
    "record.safetensors": header(
        {"__metadata__": {"__caten_sd__": json.dumps({"metadata": {"x": [[]] * MANY}})},
         "w": SCALAR}, bytes(4)
    ),
    "record.msgpack": msgpack.packb(
        {"w": flax(ROW), "__caten_sd__": flax(
            np.frombuffer(json.dumps({"metadata": {"x": [[]] * MANY}}).encode(), "u1"))}
    ),
    "objects.npz": npz_with(PROTOCOL + b"((" + b"]" * 3 * MANY + b"ll."),
    "lists/.metadata": dcp_with(b"(" + b"]" * 3 * MANY + b"l"),
    "copied bytes/.metadata": dcp_with(
        b"(B" + struct.pack("<I", 10_000) + bytes(10_000) + b"q\1"
        + name("builtins", "bytearray") + b"q\0" + b"h\0h\1\x85R" * 10_000 + b"l"
    ),
    "copied lists/.metadata": dcp_with(
        b"((" + b"N" * 10_000 + b"lq\1"
        + name("collections", "deque") + b"q\0" + b"h\0h\1\x85R" * 10_000 + b"l"
    ),
    "names/.metadata": dcp_with(b"}" + text("x") + b"(" + b"}" * 3 * MANY + b"ls"),
    "model.safetensors.index.json": json.dumps(
        {"metadata": {"x": [[]] * MANY}, "weight_map": {}}
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("file", sampled(CROWDED, 4))
def test_millions_of_containers_take_little(file: str, tmp_path: Path) -> None:
    """At most 64 MB and 8 times the file's size, and 1 s of CPU and 10 s for every 100 MB."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CROWDED[file])
    size = len(CROWDED[file])
    if path.name == ".metadata":
        (path.parent / "__0_0.distcp").touch()
        path = path.parent

    most, longest = (64 << 20) + 8 * size, 1 + 10 * size / 100e6
    memory, seconds, _ = reading(path, most)
    assert memory <= most
    assert seconds <= 3 * longest  # thrice, for a machine with other work to do


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def in_child(work: Callable[[], str], memory: int = MEMORY, seconds: int = SECONDS) -> str:
    """Return what a forked child says, or how it ended; it may take little time and memory."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, spent + seconds))
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


def test_a_lone_surrogate_in_a_key_is_the_reason_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(FILES["surrogate.safetensors"] + bytes(4))
    with pytest.raises(sd.FormatError, match=r"the key '.*d800' has a lone surrogate"):
        sd.read_state_dict(tmp_path / "w.safetensors")


def test_metadata_that_is_an_empty_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(header({"__metadata__": [], "w": SCALAR}, bytes(4)))
    with pytest.raises(sd.FormatError, match="not a map from string to string"):
        sd.read_state_dict(tmp_path / "w.safetensors")


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
