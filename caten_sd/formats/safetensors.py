"""safetensors: 8 bytes of header length, a JSON header, and the tensors' bytes without gaps.

Format: https://github.com/huggingface/safetensors#format. The reference library cannot give lazy
leaves or write in pieces, and its numpy writer (0.8.0) corrupts non-contiguous arrays silently. It
is the oracle in the tests.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, NoReturn

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.json_hooks import plain, unique
from caten_sd.files.sidecar import EMPTY, RECORD, parse_sidecar
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import is_shape, is_size
from caten_sd.state.json_text import check_entries
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

_SURROGATE = re.compile("[\ud800-\udfff]")
_ENTRY = b'"data_offsets"', b'"":{"dtype":"","shape":[0,0],"data_offsets":[0,0]},'
MAX_HEADER = 100_000_000  # bytes; the limit of the reference library

_NAMES = {
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
_DTYPES = {name: DTYPES[ours] for name, ours in _NAMES.items()}
_CODES = {ours: name for name, ours in _NAMES.items()}


class Safetensors(Format):
    """The safetensors format: one file."""

    name = "safetensors"
    suffixes = (".safetensors",)
    sources = ("file",)
    binding = True
    reserved = ("__caten_sd__",)


@recognize.register(Safetensors, Source)
def _recognize(format: Safetensors, source: Source, /) -> str | None:
    head = source.head(9)
    length = int.from_bytes(head[:8], "little")
    if head[8:] == b"{" and length <= source.size - 8:
        return f"a JSON header of {length} bytes"
    return None


@read.register(Safetensors, Source)
def _read(format: Safetensors, source: Source, /) -> Contents:
    header, start = _header(source)
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata  # MLX writes null where it has none
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse(source, "its __metadata__ is not a map from string to string")
    leaves = {}
    ranges = []
    shapes: dict[tuple[int, ...], tuple[int, ...]] = {}  # one of each for a million tensors
    for key in list(header):
        # What has been read is dropped, so that header and leaves do not take memory together.
        dtype, sizes, begin, end = _entry(source, key, header.pop(key))
        shape = tuple(sizes)
        ranges.append((begin, end, key))
        leaves[key] = LazyTensor(source, start + begin, dtype, shapes.setdefault(shape, shape))
    ranges.sort()
    _check_ranges(source, ranges, source.size - start)
    record = parse_sidecar(metadata.pop(RECORD, "{}").encode(errors="surrogatepass"), source.name)
    record.add_ties(leaves, source.name)
    return Contents(leaves, metadata, record.ties or None)


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(
        source.name, problem, "it is damaged or not a safetensors file, so get it again"
    )


def _header(source: Source) -> tuple[dict[str, Any], int]:
    """Return the parsed header, and the position of the first byte after it."""
    if source.size < 8:
        _refuse(
            source, f"it has only {counted(source.size, 'byte')}, and the header's length takes 8"
        )
    length = int.from_bytes(source.read(0, 8), "little")
    if length > source.size - 8:
        _refuse(
            source,
            f"its header claims {counted(length, 'byte')}, but {source.size - 8:,} follow",
        )
    if length > MAX_HEADER:
        _refuse(
            source, f"its header of {length} bytes is over the limit of the format, {MAX_HEADER}"
        )
    try:
        text = _checked(source, length).decode()
        if not text.startswith("{"):
            _refuse(source, "its header does not begin with {")
        header = json.loads(
            text, object_pairs_hook=unique, parse_constant=_no_number, parse_float=_no_number
        )
    except RecursionError:
        _refuse(source, "its header is nested too deep")
    except ValueError as error:  # as raised by decode, by json and by the hooks
        _refuse(source, f"its header is not JSON as the format defines it ({error})")
    return header, 8 + length


def _checked(source: Source, length: int) -> bytes:
    """Return the bytes of the header; FormatError if it takes too much memory."""
    stored = source.read(8, length)
    check_entries(source.name, stored, *_ENTRY)
    return stored


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is in it, and numbers must be integers")


def _entry(source: Source, key: str, entry: Any) -> tuple[DType, list[int], int, int]:
    """Return the dtype, the shape and the byte range of a tensor, checked against each other."""
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        _refuse(source, f"the entry {key!r} lacks its dtype, its shape or its two data_offsets")
    if not key.isascii() and _SURROGATE.search(key):
        _refuse(source, f"the key {key!r} has a lone surrogate, which no UTF-8 text can hold")
    dtype = _DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        _refuse(source, f"the dtype {code!r} of {key!r} is unknown")
    if not is_shape(shape) or not is_size(begin) or not is_size(end):
        _refuse(source, f"the shape or the data_offsets of {key!r} are not sizes")
    bits = math.prod(shape) * dtype.bits
    if bits % 8 or end - begin != bits // 8:
        _refuse(
            source,
            f"{key!r} is {dtype} {shape}, {counted(dtype.nbytes(math.prod(shape)), 'byte')}, "
            f"but its data_offsets span {end - begin:,}",
        )
    return dtype, shape, begin, end


def _check_ranges(source: Source, ranges: list[tuple[int, int, str]], size: int) -> None:
    """Refuse holes, overlaps, missing bytes and trailing bytes: data could hide in them."""
    at, before = 0, "the header"
    for begin, end, key in ranges:
        if begin != at:
            kind = "overlap" if begin < at else "leave a hole"
            _refuse(source, f"{before!r} and {key!r} {kind} at byte {begin} of the data")
        at, before = end, key
    if at > size:
        _refuse(
            source,
            f"it is {counted(at - size, 'byte')} short of {before!r} (its header claims {at:,})",
        )
    if at < size:
        _refuse(
            source,
            f"{counted(size - at, 'byte follows', 'bytes follow')} the last tensor, {before!r}",
        )


@write.register(Safetensors)
def _write(format: Safetensors, target: BinaryIO, state_dict: StateDict, /) -> None:
    from caten_sd.state.pieces import reported_pieces  # which reading does without

    order, header = _plan(state_dict)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise StateDictError(
            f"the header of {counted(len(order), 'tensor')} would have {counted(len(text), 'byte')}"
            f", and safetensors allows {MAX_HEADER:,}; write shards: end the path in / and set "
            f"max_shard_size, or --max-shard-size"
        )
    target.write(len(text).to_bytes(8, "little") + text)
    for key in order:
        for piece in reported_pieces(state_dict[key]):
            target.write(piece)


def _plan(state_dict: StateDict) -> tuple[list[str], dict[str, Any]]:
    """Return the keys in the order of their data, and the header.

    The header keeps the order of the state dict. The data goes from wide to narrow elements, as in
    the reference library, so that each tensor is aligned to its element.
    """
    ties = state_dict.ties
    specs = {key: _spec(key, leaf) for key, leaf in state_dict.items() if key not in ties}
    order = sorted(specs, key=lambda key: (-specs[key].dtype.bits, key))
    offsets, at = {}, 0
    for key in order:
        offsets[key] = [at, at + specs[key].nbytes]
        at = offsets[key][1]
    header: dict[str, Any] = {"__metadata__": _metadata(state_dict.metadata, ties)}
    for key, known in specs.items():
        code = _CODES[known.dtype.name]
        header[key] = {"dtype": code, "shape": list(known.shape), "data_offsets": offsets[key]}
    return order, header


def _spec(key: str, leaf: Any) -> Spec:
    from caten_sd.files.stored_specs import check_bytes, not_held  # which reading does without

    known = spec_or_none(leaf)
    if known is None or known.dtype.name not in _CODES or key == "__metadata__":
        raise not_held("safetensors", key, leaf)
    check_bytes(key, leaf)
    return known


def _metadata(metadata: Mapping[str, Any], ties: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata as strings, with the ties in a record of their own."""
    texts = {"format": "pt"}  # transformers refuses a file without it
    for key, value in metadata.items():
        texts[key] = value if isinstance(value, str) else json.dumps(value, default=plain)
    if ties:
        texts[RECORD] = EMPTY._replace(ties=dict(ties)).to_json().decode()
    return texts
