"""The header of a GGUF file: its metadata and its table of tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, either byte
order. gguf-py's GGUFReader makes several numpy arrays for every string and takes 9 s to open a
vocabulary of 262,144. This reader takes 0.05 s, compares every length with the bytes left, and does
not need numpy. gguf-py is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.errors import FormatError
from caten_sd.files.diagnosis import diagnose
from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.formats.gguf.tensor_table import (
    TensorTable,
    aligned,
    check_offsets,
    read_tensors,
)
from caten_sd.formats.gguf.values import TYPES, read_value
from caten_sd.state.header_memory import ENTRY, TEXT
from caten_sd.state.source import Source
from caten_sd.wording import counted

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32


class Header(NamedTuple):
    """Everything before the data of a GGUF file; the data begins at byte ``start``."""

    order: str
    metadata: Mapping[str, Any]
    tensors: TensorTable
    start: int


def read_header(source: Source) -> Header:
    """Return the header; FormatError names the key or the tensor that is not well-formed."""
    order = _byte_order(source)
    header = HeaderBytes(source, order, 8)
    tensor_count = header.u64("the number of tensors")
    entry_count = header.u64("the number of metadata entries")
    _check_count(header, tensor_count, 25, "tensors")
    _check_count(header, entry_count, 14, "metadata entries")
    metadata = _read_metadata(header, order, entry_count)
    alignment = _alignment(header, metadata)
    tensors = read_tensors(header, order, tensor_count)
    start = aligned(header.at, alignment)
    check_offsets(header, tensors, source.size - start, alignment)
    return Header(order, metadata, tensors, start)


def _byte_order(source: Source) -> str:
    head = source.head(8)
    if head[:4] != MAGIC or len(head) < 8:
        is_cut = head and MAGIC.startswith(head[:4])
        problem = "it ends in its first 8 bytes" if is_cut else "it does not begin with GGUF"
        raise diagnose(source) or FormatError(source.name, problem, "get it again")
    little, big = int.from_bytes(head[4:], "little"), int.from_bytes(head[4:], "big")
    if little in (2, VERSION):
        return "<"
    if big in (2, VERSION):
        return ">"
    raise FormatError(
        source.name,
        f"its GGUF version is {min(little, big)}, and only versions 2 and 3 can be read",
        "convert it with a current llama.cpp",
    )


def _check_count(header: HeaderBytes, count: int, least: int, what: str) -> None:
    if count > header.left // least:
        header.refuse(
            f"it claims {count} {what}, but {counted(header.left, 'byte is', 'bytes are')} left"
        )


def _read_metadata(header: HeaderBytes, order: str, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for _ in range(count):
        key = header.text("a metadata key")
        if not key or key == TYPES:
            header.refuse(f"it has the metadata key {key!r}, which is not allowed")
        if key in metadata:
            header.refuse(f"the metadata key {key!r} is given twice")
        metadata[key], types[key] = read_value(header, order, repr(key))
        header.remember(2 * ENTRY + TEXT)
    if typed := {key: type for key, type in types.items() if type != "string"}:
        metadata[TYPES] = typed
    return metadata


def _alignment(header: HeaderBytes, metadata: Mapping[str, Any]) -> int:
    if ALIGNMENT not in metadata:
        return DEFAULT_ALIGNMENT
    alignment, type = metadata[ALIGNMENT], metadata.get(TYPES, {}).get(ALIGNMENT)
    if type != "uint32" or alignment & (alignment - 1) or not alignment:
        header.refuse(f"its {ALIGNMENT} is {alignment!r}, and must be a power of two in a uint32")
    return int(alignment)
