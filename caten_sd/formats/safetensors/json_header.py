"""The header of a safetensors file: JSON with the dtype, shape and byte range of each tensor.

A file may hold a million tensors, of few shapes. So the header is read into columns, and whatever
tensors of one shape share is there once. JSON as the reference library writes it is read by one
regular expression, a piece at a time, and any other JSON by json, an entry at a time: json takes
three times as long, and ten times the memory for the header as a whole.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections import Counter
from operator import add, attrgetter
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.files.json_hooks import unique
from caten_sd.state.columns import are_distinct, fill_exactly
from caten_sd.state.dtype import DTYPES
from caten_sd.state.indexing import is_shape, is_size
from caten_sd.state.json_members import members_of
from caten_sd.state.json_text import parse_json
from caten_sd.state.leaf import Spec
from caten_sd.state.source import Source
from caten_sd.wording import counted

MAX_HEADER = 100_000_000  # bytes; the limit of the reference library

NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
    "F4": "float4_e2m1fn",
    "C64": "complex64",
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (64, 32, 16, 8)},
    **{f"U{bits}": f"uint{bits}" for bits in (64, 32, 16, 8)},
}
_DTYPES = {name: DTYPES[ours] for name, ours in NAMES.items()}

_SURROGATE = re.compile("[\ud800-\udfff]")
_METADATA = b'{"__metadata__":'
_FIRST = re.compile(rb'\},"[^"\\\x00-\x1f]*":\{"dtype":"')  # where the metadata ends
_PIECE = 1 << 16  # bytes; the texts made of a piece stay in the processor's cache
_MOST_SPECS = 1 << 14  # that are remembered
_SIZE = "(?:0|[1-9][0-9]{0,17})"
# The last group is what is not an entry.
_ENTRY = re.compile(
    r'"(?!__metadata__")([^"\\\x00-\x1f]*)":'
    rf'\{{("dtype":"[A-Z0-9_]*","shape":\[(?:{_SIZE}(?:,{_SIZE}){{0,63}})?\]),'
    rf'"data_offsets":\[({_SIZE}),({_SIZE})\]\}}(?:,|\}}[ \n\r\t]*\Z)|([\s\S]+)'
)


class TensorColumns:
    """The tensors in columns, and the metadata; the data begins at byte ``start`` of the file."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.metadata: Any = None
        self.keys: list[str] = []
        self.specs: list[Spec] = []
        self.begins, self.ends = array("q"), array("q")


def read_header(source: Source) -> TensorColumns:
    """Return the header; FormatError unless its tensors fill the rest of the file exactly."""
    header = _compact(_stored(source)) or _any_json(source)
    if not fill_exactly(header.begins, header.ends, source.size - header.start):
        _check_ranges(source, header)
    return header


def refuse(source: Source, problem: str) -> NoReturn:
    """Raise the error that names the file and what is wrong with it."""
    raise FormatError(
        source.name, problem, "it is damaged or not a safetensors file, so get it again"
    )


def _stored(source: Source) -> bytes:
    """Return the bytes of the JSON."""
    if source.size < 8:
        refuse(
            source, f"it has only {counted(source.size, 'byte')}, and the header's length takes 8"
        )
    length = int.from_bytes(source.read(0, 8), "little")
    if length > source.size - 8:
        refuse(
            source, f"its header claims {counted(length, 'byte')}, but {source.size - 8:,} follow"
        )
    if length > MAX_HEADER:
        refuse(
            source, f"its header of {length} bytes is over the limit of the format, {MAX_HEADER}"
        )
    stored = source.read(8, length)
    if not stored.startswith(b"{"):
        refuse(source, "its header does not begin with {")
    return stored


def _compact(stored: bytes) -> TensorColumns | None:
    """Return the header of JSON as the reference library writes it; None if it is not, or wrong."""
    header = TensorColumns(8 + len(stored))
    specs = _SpecsByText()
    try:
        header.metadata, at = _metadata_first(stored)
        while at < len(stored):
            end = stored.find(b']},"', at + _PIECE) + len("]},")
            end = end if end >= len("]},") else len(stored)
            if not _add_piece(header, specs, stored[at:end].decode()):
                return None
            at = end
    except (ValueError, RecursionError, FormatError):  # the reader of any JSON says what is wrong
        return None
    is_whole = header.keys and not stored.endswith(b",")
    return header if is_whole and are_distinct(header.keys) else None


def _add_piece(header: TensorColumns, specs: _SpecsByText, text: str) -> bool:
    """Add the entries of a piece to a header, or return False if it holds anything else."""
    keys, texts, begins, ends, others = zip(*_ENTRY.findall(text), strict=True)
    if any(others):
        return False
    found = list(map(specs.__getitem__, texts))
    starts, stops = list(map(int, begins)), list(map(int, ends))
    if list(map(add, starts, map(attrgetter("nbytes"), found))) != stops:
        return False
    header.keys.extend(keys)
    header.specs.extend(found)
    header.begins.extend(starts)
    header.ends.extend(stops)
    return True


class _SpecsByText(dict[str, Spec]):
    """Specs by their text in an entry; ValueError for one that no tensor has."""

    def __missing__(self, text: str) -> Spec:
        entry = json.loads(f"{{{text}}}")
        known = _spec(entry["dtype"], entry["shape"])
        if known is None:
            raise ValueError(text)
        if len(self) == _MOST_SPECS:
            self.clear()
        self[text] = known
        return known


def _spec(code: str, shape: list[int]) -> Spec | None:
    dtype = _DTYPES.get(code)
    bits = 0 if dtype is None else math.prod(shape) * dtype.bits
    return None if dtype is None or bits % 8 else Spec(tuple(shape), dtype, bits // 8)


def _metadata_first(stored: bytes) -> tuple[Any, int]:
    """Return the metadata at the beginning, None if none is there, and where the rest begins."""
    if not stored.startswith(_METADATA):
        return None, 1
    if not (first := _FIRST.search(stored)):
        raise ValueError("no tensor follows the metadata")
    text = stored[len(_METADATA) : first.start() + 1]
    metadata = parse_json("the metadata", text, unique)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("it is not a map from string to string")
    return metadata, first.start() + 2


def _any_json(source: Source) -> TensorColumns:
    """Return the header of any JSON; FormatError if the format does not allow it."""
    stored = _stored(source)
    header = TensorColumns(8 + len(stored))
    try:
        _add_members(header, source, stored)
    except RecursionError:
        refuse(source, "its header is nested too deep")
    except ValueError as error:  # as raised by json and by its hooks
        refuse(source, f"its header is not JSON as the format defines it ({error})")
    return header


def _add_members(header: TensorColumns, source: Source, stored: bytes) -> None:
    """Add the members of any JSON to a header; ValueError if a name comes twice."""
    shared: dict[Spec, Spec] = {}
    metadata = []
    for key, value in members_of(source.name, stored, _DECODER):
        if key == "__metadata__":
            metadata.append(value)
            continue
        known, begin, end = _entry(source, key, value)
        header.keys.append(key)
        header.specs.append(shared.setdefault(known, known))
        header.begins.append(begin)
        header.ends.append(end)
        if len(shared) == _MOST_SPECS:
            shared.clear()
    header.metadata = metadata[0] if metadata else None
    if len(metadata) > 1 or not are_distinct(header.keys):
        keys = Counter(["__metadata__"] * len(metadata) + header.keys)
        raise ValueError(f"{keys.most_common(1)[0][0]!r} is given twice")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is in it, and numbers must be integers")


_DECODER = json.JSONDecoder(
    object_pairs_hook=unique, parse_constant=_no_number, parse_float=_no_number
)


def _entry(source: Source, key: str, entry: Any) -> tuple[Spec, int, int]:
    """Return what an entry says, its dtype, shape and byte range checked against each other."""
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        refuse(source, f"the entry {key!r} lacks its dtype, its shape or its two data_offsets")
    if not key.isascii() and _SURROGATE.search(key):
        refuse(source, f"the key {key!r} has a lone surrogate, which no UTF-8 text can hold")
    dtype = _DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        refuse(source, f"the dtype {code!r} of {key!r} is unknown")
    if not is_shape(shape) or not is_size(begin) or not is_size(end):
        refuse(source, f"the shape or the data_offsets of {key!r} are not sizes")
    known = _spec(code, shape)
    if known is None or end - begin != known.nbytes:
        refuse(
            source,
            f"{key!r} is {dtype} {shape}, {counted(dtype.nbytes(math.prod(shape)), 'byte')}, "
            f"but its data_offsets span {end - begin:,}",
        )
    return known, begin, end


def _check_ranges(source: Source, header: TensorColumns) -> None:
    """Refuse holes, overlaps, missing bytes and trailing bytes: data could hide in them."""
    size = source.size - header.start
    at, before = 0, "the header"
    for begin, end, key in sorted(zip(header.begins, header.ends, header.keys, strict=True)):
        if begin != at:
            kind = "overlap" if begin < at else "leave a hole"
            refuse(source, f"{before!r} and {key!r} {kind} at byte {begin} of the data")
        at, before = end, key
    if at > size:
        refuse(
            source,
            f"it is {counted(at - size, 'byte')} short of {before!r} (its header claims {at:,})",
        )
    if at < size:
        refuse(
            source,
            f"{counted(size - at, 'byte follows', 'bytes follow')} the last tensor, {before!r}",
        )
