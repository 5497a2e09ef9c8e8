from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caten_sd.blocks.block_types import block_type
from caten_sd.errors import FormatError
from caten_sd.files.format import read, write
from caten_sd.files.json_hooks import plain
from caten_sd.formats.gguf.container import Gguf
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.leaf import Numpy, Opaque, as_array
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict
from tests.properties import examples


@pytest.fixture
def small() -> bytes:
    """Return a file with a metadata entry of each kind, a dense tensor and one of blocks."""
    target = io.BytesIO()
    blocks = gguf.quants.quantize(np.ones((2, 32), "f4"), GGMLQuantizationType.Q8_0)
    leaves = {
        "a": np.ones((2, 3), "f4"),
        "q": BlockTensor(block_type("q8_0"), blocks, (2, 32)),
    }
    metadata = {"s": "text", "n": 7, "strings": ["x", "yy"], "deep": [[1], [2, 3]], "b": [True]}
    write(Gguf(), target, StateDict(leaves, metadata=metadata))
    return target.getvalue()


def load(data: bytes) -> Any:
    """Read a file and everything in it, as the command line would, and return its tree."""
    contents = read(Gguf(), Source("x.gguf", BytesBacking(data), 0, len(data)))
    for leaf in contents.tree.values():
        if not isinstance(leaf, Opaque):
            as_array(Numpy(), leaf)
    json.dumps(dict(contents.metadata), default=plain)
    return contents.tree


def refusal(data: bytes) -> str:
    """Return what the reader says of a file that it refuses; "" if it reads it."""
    try:
        load(data)
    except FormatError as error:
        return str(error)
    return ""


def test_every_truncation_is_refused(small: bytes) -> None:
    load(small)
    data_end = len(small) - (-(2 * 34) % 32)  # behind it there is only padding
    for size in range(data_end):
        with pytest.raises(FormatError, match=r"^x\.gguf: "):
            load(small[:size])
    load(small[:data_end])


def test_every_changed_byte_is_read_or_refused(small: bytes) -> None:
    header = len(small) - 32 - 96
    changed = [
        small[:at] + bytes([value]) + small[at + 1 :]
        for at in range(header)
        for value in (0, 1, 0x7F, 0x80, 0xFF)
    ]
    refusals = [message for data in changed if (message := refusal(data))]
    assert len(refusals) > header
    assert all(message.startswith("x.gguf: ") for message in refusals)
    assert not any("\n" in message for message in refusals)


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=9)), max_size=4))
def test_nothing_but_our_own_error_comes_out(small: bytes, cuts: list[tuple[int, bytes]]) -> None:
    data = small
    for at, new in cuts:
        data = data[:at] + new + data[at + len(new) :]
    refusal(data)


def number(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")


def text(value: str) -> bytes:
    return number(len(value.encode())) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + number(kind, 4) + value


def row(name: str = "w", dims: tuple[int, ...] = (3, 2), kind: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(map(number, dims))
    return text(name) + number(len(dims), 4) + sizes + number(kind, 4) + number(offset)


def build(
    pairs: tuple[bytes, ...] = (),
    rows: tuple[bytes, ...] = (row(),),
    data: bytes = bytes(32),
    counts: tuple[int, int] | None = None,
) -> bytes:
    tensors, entries = counts or (len(rows), len(pairs))
    head = b"GGUF" + number(3, 4) + number(tensors) + number(entries) + b"".join((*pairs, *rows))
    return head + bytes(-len(head) % 32) + data


ARRAY = struct.Struct("<IQ").pack

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "tensors": (lambda: build(counts=(2**60, 0)), "it claims 1152921504606846976 tensors"),
    "entries": (lambda: build(counts=(1, 2**63)), "it claims .* metadata entries"),
    "key twice": (lambda: build((pair("k", 0, b"1"),) * 2), "the metadata key 'k' is given twice"),
    "key empty": (lambda: build((pair("", 0, b"1"),)), "the metadata key ''"),
    "our own key": (lambda: build((pair("GGUF.types", 0, b"1"),)), "the metadata key 'GGUF.types'"),
    "type": (lambda: build((pair("k", 13, bytes(8)),)), "'k' has the unknown value type 13"),
    "bool": (lambda: build((pair("k", 7, b"\2"),)), "'k' holds a bool that is neither"),
    "bools": (lambda: build((pair("k", 9, ARRAY(7, 3) + b"\1\2\0"),)), "'k' holds a bool"),
    "text": (lambda: build((pair("k", 8, text("x")[:8] + b"\xff"),)), "of 'k' is not UTF-8"),
    "long": (lambda: build((pair("k", 8, number(2**60)),)), "the length of the value of 'k' clai"),
    "array": (lambda: build((pair("k", 9, ARRAY(10, 2**61)),)), "'k' claims 2305843009213693952"),
    "strings": (
        lambda: build((pair("k", 9, ARRAY(8, 2) + text("a") + number(500) + b"b"),)),
        "'k' has a string that ends 400 bytes past|'k' takes|'k' has a string",
    ),
    "nested": (
        lambda: build((pair("k", 9, ARRAY(9, 1) * 50_000 + ARRAY(4, 0)),)),
        "the arrays of 'k' are nested more than 4 deep",
    ),
    "alignment": (
        lambda: build((pair("general.alignment", 4, number(24, 4)),)),
        "its general.alignment is 24, .*power of two",
    ),
    "alignment type": (
        lambda: build((pair("general.alignment", 8, text("32")),)),
        "its general.alignment is '32'",
    ),
    "name twice": (
        lambda: build(rows=(row(), row(offset=32)), data=bytes(64)),
        "two tensors are called 'w'",
    ),
    "no name": (lambda: build(rows=(row(""),)), "it has a tensor without a name"),
    "rank": (lambda: build(rows=(row(dims=(1,) * 5),)), "'w' has 5 dimensions"),
    "huge": (lambda: build(rows=(row(dims=(2**32, 2**32)),)), "'w' has the shape .* too large"),
    "huge empty": (lambda: build(rows=(row(dims=(2**63, 0)),)), "'w' has the shape .* too large"),
    "huge empty matrix": (
        lambda: build(rows=(row(dims=(2**40, 2**40, 0)),)),
        "'w' has the shape .* too large",
    ),
    "unknown short": (
        lambda: build(rows=(row("a"), row(kind=42, offset=32)), data=bytes(32)),
        "it is 1 byte short: 'w' takes 1 byte",
    ),
    "unknown overlap": (
        lambda: build(rows=(row("a", kind=42), row("b")), data=bytes(64)),
        "overlap at byte 0",
    ),
    "rows": (lambda: build(rows=(row(dims=(16, 2), kind=8),)), "'w' is q8_0 .* blocks of 32"),
    "block scalar": (lambda: build(rows=(row(dims=(), kind=8),)), "'w' is q8_0 .* blocks of 32"),
    "misaligned": (lambda: build(rows=(row(offset=4),)), "'w' is at byte 4 of the data"),
    "overlap": (lambda: build(rows=(row("a"), row("b"))), "'a' and 'b' overlap at byte 0"),
    "hole": (
        lambda: build(rows=(row("a"), row("b", offset=64)), data=bytes(96)),
        "'a' and 'b' leave a hole at byte 64",
    ),
    "wraps": (lambda: build(rows=(row(offset=2**64 - 32),)), "leave a hole at byte 1844674407370"),
    "trailing": (lambda: build(data=bytes(33)), "1 byte follows the last tensor, 'w'"),
    "short": (lambda: build(data=bytes(20)), "it is 4 bytes short: 'w' takes 24 bytes"),
    "tie": (
        lambda: build((pair("caten_sd.tied.x", 8, text("nothing")),)),
        "'caten_sd.tied.x' ties 'x' to 'nothing'",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malformed_file_is_refused_in_one_sentence(name: str) -> None:
    make, message = HOSTILE[name]
    with pytest.raises(FormatError, match=message) as caught:
        load(make())
    assert str(caught.value).startswith("x.gguf: ")


@pytest.mark.parametrize("number", [31, 42, 2**32 - 1])
def test_a_tensor_of_a_newer_type_is_opaque_and_its_neighbors_come_out(number: int) -> None:
    rows = (row("a"), row("new", kind=number, offset=32), row("b", offset=128))
    leaves = load(build(rows=rows, data=bytes(128) + b"\0\0\x80?" * 6))
    assert leaves["new"].name == f"GGUF tensor of the unknown type {number}"
    assert leaves["a"].numpy().sum() == 0
    assert leaves["b"].numpy().tolist() == [[1.0] * 3] * 2
    last = load(build(rows=(row("a"), row("new", kind=number, offset=32)), data=bytes(999)))
    assert list(last) == ["a", "new"]


def test_the_control_of_the_hostile_files_is_read() -> None:
    load(build())
    load(build((pair("general.alignment", 4, number(64, 4)),), data=b"")[:-1] + bytes(64))
