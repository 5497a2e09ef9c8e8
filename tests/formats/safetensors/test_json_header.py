"""A header as the reference library writes it is read as json reads it, and nothing else is."""

from __future__ import annotations

import json
import string
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save, save_file

from caten_sd import FormatError, read_state_dict
from caten_sd.formats.safetensors import json_header
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source
from tests.properties import examples

KEYS = st.text(string.ascii_letters + string.digits + '._é日😀}]{,:\\"', max_size=6)
SHAPES = st.lists(st.integers(0, 3), max_size=3)
DTYPES = st.sampled_from(["f8", "f4", "f2", "i8", "i1", "u2", "?"])
METADATA = st.none() | st.dictionaries(KEYS, KEYS, max_size=2)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file that the reference library wrote."""
    given = draw(st.dictionaries(KEYS, st.tuples(DTYPES, SHAPES), min_size=1, max_size=5))
    arrays = {key: np.zeros(shape, dtype) for key, (dtype, shape) in given.items()}
    return bytes(save(arrays, draw(METADATA)))


def columns(found: json_header.TensorColumns | None) -> Any:
    assert found is not None
    return found.start, found.metadata, found.keys, found.specs, found.begins, found.ends


def header_of(data: bytes) -> bytes:
    return data[8 : 8 + struct.unpack("<Q", data[:8])[0]]


def with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


def source_of(data: bytes) -> Source:
    return Source("w.safetensors", BytesBacking(data), 0, len(data))


@given(files())
def test_what_the_reference_writes_is_read_as_json_reads_it(data: bytes) -> None:
    header, source = header_of(data), source_of(data)
    found = json_header.read_header(source)
    assert columns(found) == columns(json_header._any_json(source))
    is_plain = found.keys and not any(set('\\"') & set(key) for key in found.keys)
    assert (json_header._compact(header) is not None) == bool(is_plain)


PLACES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(list(b'{}[]",:0123456789 \\F\xc3\0'))))


@settings(max_examples=examples(300))
@given(files(), PLACES)
def test_what_is_taken_for_compact_is_what_json_reads(
    data: bytes, changes: list[tuple[float, int]]
) -> None:
    header = bytearray(header_of(data))
    for at, byte in changes:
        header[1 + int(at * (len(header) - 2))] = byte  # the first one is checked before
    try:
        wanted = columns(json_header._any_json(source_of(with_header(bytes(header)))))
    except FormatError:
        assert json_header._compact(bytes(header)) is None
        return
    found = json_header._compact(bytes(header))
    assert found is None or columns(found) == wanted


@pytest.mark.parametrize("piece", [1, 100, 1000])
def test_pieces_end_where_entries_do(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_header, "_PIECE", piece)
    arrays = {f"h.{n}.{'é' * (n % 7)}": np.zeros(n % 5, "f4") for n in range(50)}
    header = header_of(save(arrays, {"note": ']},"h'}))
    found = json_header._compact(header)
    assert columns(found) == columns(json_header._any_json(source_of(with_header(header))))


def test_a_few_shapes_or_many_are_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_header, "_MOST_SPECS", 3)
    save_file({f"w{n}": np.zeros(n, "f4") for n in range(20)}, tmp_path / "w.safetensors")
    with read_state_dict(tmp_path / "w.safetensors") as found:
        assert [leaf.shape for leaf in found.values()] == [(int(key[1:]),) for key in found]


def test_keys_and_shapes_of_many_are_the_references(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({f"h.{n}.w": np.zeros(n % 9, "f4") for n in range(3000)}, path)
    with safe_open(path, "np") as theirs, read_state_dict(path) as ours:
        shapes = {key: tuple(theirs.get_slice(key).get_shape()) for key in theirs.keys()}  # noqa: SIM118
        assert {key: leaf.shape for key, leaf in ours.items()} == shapes


LAST = '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'
FIRST = LAST.replace("b", "a").replace("[4,8]", "[0,4]")


@pytest.mark.parametrize(
    "header",
    [
        f"{{{FIRST},{LAST},}}",
        f"{{{FIRST},{LAST},",
        f"{{{FIRST},{LAST}",
        f"{{{FIRST}{LAST}}}",
        f"{{{FIRST},{LAST}}}}}",
        f"{{{FIRST},{LAST}}}x",
        f"{{,{FIRST},{LAST}}}",
        f'{{"__metadata__":{{}},{FIRST},{LAST},}}',
        f'{{"__metadata__":{{}}{FIRST},{LAST}}}',
        f"{{{FIRST},{LAST.replace('b', 'a')}}}",
        f"{{{FIRST},{LAST.replace('[1]', '[01]')}}}",
        f"{{{FIRST},{LAST.replace('4,', '04,')}}}",
        f"{{{FIRST},{LAST.replace('b', '__metadata__')}}}",
        '{"__metadata__":{},',
        "{",
    ],
)
def test_what_only_looks_compact_is_refused(header: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    text = header.encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(FormatError, match="get it again"):
        read_state_dict(path)
    with pytest.raises(Exception), safe_open(path, "np"):  # noqa: B017, PT011 - a Rust error
        pass


def test_json_of_any_order_and_spacing_is_read(tmp_path: Path) -> None:
    entry = {"data_offsets": [0, 4], "dtype": "F32", "shape": [1]}
    text = json.dumps({"w": entry, "__metadata__": {"a": "b"}}, indent=1).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with read_state_dict(tmp_path / "w.safetensors") as found:
        assert (list(found), found.metadata) == (["w"], {"a": "b"})
