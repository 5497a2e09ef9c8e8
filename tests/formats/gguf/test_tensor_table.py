"""The table read by known kinds is the one that is read row by row, and so are its refusals."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd import FormatError, read_state_dict
from caten_sd.formats.gguf import tensor_table
from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.formats.gguf.tensor_table import TensorTable, check_offsets, read_tensors
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source

SHAPES = st.sampled_from([(), (0,), (3,), (32, 2), (64,), (1, 2, 3, 4)])
KINDS = st.sampled_from([0, 1, 8, 30, 99])
ROWS = st.lists(st.tuples(st.text(max_size=3), SHAPES, KINDS), max_size=8)
BYTES = st.sampled_from([0, 1, 4, 5, 0x80, 0xFF])
CHANGES = st.lists(st.tuples(st.floats(0, 1), BYTES), max_size=2)


def stored(rows: list[tuple[str, tuple[int, ...], int]], order: str) -> bytes:
    parts = []
    for number, (name, shape, kind) in enumerate(rows):
        text = name.encode()
        parts.append(struct.pack(f"{order}Q", len(text)) + text)
        layout = f"{order}I{len(shape)}QIQ"
        parts.append(struct.pack(layout, len(shape), *shape, kind, 64 * number))
    return b"".join(parts)


def outcome(data: bytes, order: str, count: int) -> Any:
    """Return the table and where it ends, or what the error says."""
    header = HeaderBytes(Source("w.gguf", BytesBacking(data), 0, len(data)), order, 0)
    try:
        return read_tensors(header, order, count), header.at
    except FormatError as error:
        return str(error)


@given(ROWS, st.sampled_from("<>"), CHANGES)
def test_known_kinds_change_nothing(
    rows: list[tuple[str, tuple[int, ...], int]], order: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(stored(rows, order))
    for at, byte in changes if data else ():
        data[int(at * (len(data) - 1))] = byte
    found = outcome(bytes(data), order, len(rows))
    with patch.object(tensor_table, "_add_known", lambda *_: None):
        assert outcome(bytes(data), order, len(rows)) == found


@given(ROWS, st.randoms(use_true_random=False), st.integers(-40, 40))
def test_data_in_order_is_accepted_as_data_in_any_order_is(
    rows: list[tuple[str, tuple[int, ...], int]], random: Any, more: int
) -> None:
    data = stored(rows, "<")
    if isinstance(known := outcome(data, "<", len(rows)), str):
        return
    (names, kinds, _), _ = known
    offsets, at = [], 0
    for kind in kinds:
        offsets.append(at)
        at = tensor_table.aligned(at + kind.nbytes, 32)
    places = list(zip(names, kinds, offsets, strict=True))
    random.shuffle(places)
    shuffled = TensorTable(*map(list, zip(*places, strict=True))) if places else known[0]
    header = HeaderBytes(Source("w.gguf", BytesBacking(data), 0, len(data)), "<", 0)
    results = []
    for table in (TensorTable(names, kinds, offsets), shuffled):
        try:
            check_offsets(header, table, max(at + more, 0), 32)
            results.append("")
        except FormatError as error:
            results.append(str(error))
    assert bool(results[0]) == bool(results[1])


def test_many_kinds_are_those_of_gguf_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_table, "_MOST_KINDS", 3)
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "llama")
    for number in range(60):
        array = np.full((number % 3 + 1, number % 5 + 1), number, ("f4", "f2")[number % 7 == 0])
        writer.add_tensor(f"blk.{number}.w", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reader = gguf.GGUFReader(tmp_path / "w.gguf")
    with read_state_dict(tmp_path / "w.gguf") as found:
        assert list(found) == [tensor.name for tensor in reader.tensors]
        for tensor in reader.tensors:
            np.testing.assert_array_equal(found[tensor.name].numpy(), tensor.data)
