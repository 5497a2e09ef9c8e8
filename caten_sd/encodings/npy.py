"""The header of an .npy file, parsed by regular expressions and never evaluated.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3.
numpy's reader passes the header to Python's parser, which a long or deep one can exhaust.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import MAX_RANK
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque, Spec
from caten_sd.state.source import Source
from caten_sd.wording import counted

MAGIC = b"\x93NUMPY"
START = 10  # bytes before the text of a header of version 1, whose last two are its length
_USUAL = 128  # bytes of the header of nearly every array, which are read at once
MAX_HEADER = 1 << 16  # bytes; numpy's own default is 10,000
MAX_TEXT = 1 << 12  # bytes of a text that is read with the headers

_DTYPES = {
    "b1": DTYPES["bool"],
    **{f"i{n}": DTYPES[f"int{8 * n}"] for n in (1, 2, 4, 8)},
    **{f"u{n}": DTYPES[f"uint{8 * n}"] for n in (1, 2, 4, 8)},
    **{f"f{n}": DTYPES[f"float{8 * n}"] for n in (2, 4, 8)},
    **{f"c{n}": DTYPES[f"complex{8 * n}"] for n in (8, 16)},
}
_CODES = {dtype.name: f"{'|' if dtype.bits == 8 else '<'}{code}" for code, dtype in _DTYPES.items()}

# A dtype of fields, or of an array in each element: brackets around texts, sizes and brackets.
_FIELDS = r"[\[(](?:[^\[\]()'\"\\]|'[^'\\]*'|\"[^\"\\]*\"|%s)*[\])]"
_ENTRY = re.compile(
    r"\s*(['\"])(?P<key>\w+)\1\s*:\s*"
    r"(?P<value>(['\"])[^'\"\\]*\4|True|False|\([0-9L, ]*\)|"
    rf"{_FIELDS % _FIELDS % _FIELDS % _FIELDS % _FIELDS % '(?!)'})"
    r"\s*(?:,|(?=\}))",
    re.ASCII,
)
_SIZES = re.compile(r"(?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?")
_DESCR = re.compile(r"[<>|=]?([A-Za-z])([0-9]{0,9})(\[[0-9]*[A-Za-z]+\])?")


class NpyHeader(NamedTuple):
    """The header of an .npy file; ``start`` is the position of the first data byte."""

    descr: str
    fortran: bool
    shape: tuple[int, ...]
    start: int

    @property
    def holds_objects(self) -> bool:
        """Whether the array is of Python objects, which are pickled after the header."""
        return self.descr in ("O", "|O", "O8", "|O8", "|O4")


def npy_header(source: Source) -> NpyHeader:
    """Return the header of an .npy file; FormatError unless it is exactly what numpy writes."""
    head = source.head(_USUAL)
    if not head.startswith(MAGIC) or len(head) < START:
        _refuse(source, "it does not begin as an .npy file")
    version = head[6]
    if version not in (1, 2, 3):
        _refuse(source, f"its .npy version {version}.{head[7]} is unknown")
    start = START if version == 1 else START + 2
    length = int.from_bytes(head[8:start], "little")
    if length > min(MAX_HEADER, source.size - start):
        _refuse(source, f"its .npy header claims {length} bytes")
    try:
        read = head[start:] if start + length <= len(head) else source.read(start, length)
        text = read[:length].decode("utf-8" if version == 3 else "latin-1")
    except UnicodeDecodeError:
        _refuse(source, "its .npy header is not UTF-8")
    return _header(source, _entries(source, text.strip()), start + length)


def npy_leaf(source: Source, header: NpyHeader) -> Any:
    """Return the array as a lazy leaf; as text or an Opaque if no tensor has its dtype.

    An array of records, subarrays or Python objects is an Opaque.

    ``|V2`` and similar are leaves of an unknown dtype: their bytes are kept and not interpreted.
    """
    descr, fortran, shape, start = header
    kind, size = _kind_and_size(descr)
    dtype = npy_dtype(descr)
    if dtype is None:
        return _not_a_tensor(source, header, kind, size)
    _check_size(source, header, dtype.nbytes(math.prod(shape)))
    strides = _fortran_strides(shape) if fortran and len(shape) > 1 else None
    return LazyTensor(source, start, dtype, shape, strides, ">" if descr[0] == ">" else "<")


@functools.lru_cache(64)
def npy_dtype(descr: str) -> DType | None:
    """Return the dtype of an array with this descr, or None if no tensor has it.

    >>> str(npy_dtype("<f4")), str(npy_dtype("|V2")), npy_dtype("<U3")
    ('float32', 'unknown 2-byte', None)
    """
    kind, size = _kind_and_size(descr)
    if (kind == "V" and size) or f"{kind}{size}" == "f1":  # f1: what numpy makes of float8_e5m2
        return DType(f"unknown {size}-byte", "unknown", 8 * size)
    return _DTYPES.get(f"{kind}{size}")


@functools.lru_cache(64)
def _kind_and_size(descr: str) -> tuple[str, int]:
    known = _DESCR.fullmatch(descr)
    return (known[1], int(known[2] or 0)) if known else ("", 0)


def npy_header_bytes(dtype: DType, shape: Sequence[int]) -> bytes:
    """Return the header of a C-ordered array, padded as numpy does to a multiple of 64 bytes.

    A dtype that numpy lacks is written as raw bytes; elements smaller than a byte, as a row of
    bytes.

    >>> npy_header_bytes(DTYPES["float32"], (2, 3)).rstrip()[10:]
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    """
    if not dtype.itemsize:
        shape = (dtype.nbytes(math.prod(shape)),)
    descr = _CODES.get(dtype.name) or f"|V{dtype.itemsize or 1}"
    sizes = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}"
    text += " " * (-(START + len(text) + 1) % 64) + "\n"
    return MAGIC + b"\1\0" + len(text).to_bytes(2, "little") + text.encode()


def npy_can_hold(known: Spec) -> bool:
    """Return whether an .npy file can hold a leaf of this spec, if need be as raw bytes."""
    return known.dtype.name in DTYPES or known.dtype.kind == "unknown"


def numpy_lacks(dtype: DType) -> bool:
    """Return whether this is a known dtype that an .npy header cannot name."""
    return dtype.name in DTYPES and dtype.name not in _CODES


def _refuse(source: Source, problem: str) -> NoReturn:
    raise FormatError(source.name, problem, "it is damaged or not an .npy file, so get it again")


def _entries(source: Source, text: str) -> dict[str, str]:
    """Return the entries of the header's dict, their values as text."""
    entries: dict[str, str] = {}
    at = 1
    while text[:1] == "{" and (entry := _ENTRY.match(text, at)):
        if entry["key"] in entries:
            _refuse(source, f"its .npy header gives {entry['key']!r} twice")
        entries[entry["key"]] = entry["value"]
        at = entry.end()
    rest = text[at:].strip()
    if rest != "}":
        _refuse(source, f"its .npy header is not what numpy writes, from {rest[:40]!r}")
    return entries


def _header(source: Source, entries: dict[str, str], start: int) -> NpyHeader:
    if set(entries) != {"descr", "fortran_order", "shape"}:
        _refuse(source, f"its .npy header has the keys {', '.join(entries) or 'none'}")
    descr, order, sizes = entries["descr"], entries["fortran_order"], entries["shape"]
    inner = sizes[1:-1].strip()
    if descr[0] not in "'\"[(" or order not in ("True", "False"):
        _refuse(
            source,
            f"its dtype is {descr[:40]} and its fortran_order {order[:40]}, not text and a bool",
        )
    if sizes[0] != "(" or not _SIZES.fullmatch(inner):
        _refuse(source, f"its shape {sizes[:40]} is not a tuple of sizes")
    if inner.isdecimal():
        _refuse(source, f"its shape {sizes!r} is a number and not a tuple")
    shape = tuple(int(size.strip(" L")) for size in inner.split(",") if size.strip())
    if len(shape) > MAX_RANK or any(size >= 1 << 63 for size in shape):
        _refuse(
            source,
            f"its shape has {counted(len(shape), 'axis', 'axes')}, or a size of 2^63 or more",
        )
    return NpyHeader(descr if descr[0] in "[(" else descr[1:-1], order == "True", shape, start)


def _not_a_tensor(source: Source, header: NpyHeader, kind: str, size: int) -> Any:
    """Return short text as str, other known dtypes as an Opaque; FormatError for the rest."""
    if header.descr[:1] in ("[", "(") or header.holds_objects:
        return Opaque(f"numpy.ndarray of {header.descr[:80]}", (header.shape,))
    width = {"U": 4, "S": 1, "a": 1, "M": 8, "m": 8, "f": 1, "c": 1}.get(kind)
    if width is None or (kind in "fc" and size not in (12, 16, 24, 32)):
        _refuse(source, f"its dtype {header.descr[:40]!r} is unknown")
    width = width if kind in "Mm" else width * size
    _check_size(source, header, width * math.prod(header.shape))
    if kind == "U" and not header.shape and width <= MAX_TEXT:
        codec = "utf-32-be" if header.descr[0] == ">" else "utf-32-le"
        return source.read(header.start, width).decode(codec, "replace").rstrip("\0")
    return Opaque(f"numpy.ndarray of {header.descr}", (header.shape,))


def _check_size(source: Source, header: NpyHeader, wanted: int) -> None:
    there = source.size - header.start
    if wanted > there:
        _refuse(
            source,
            f"it is {counted(wanted - there, 'byte')} short: {header.descr} {list(header.shape)} "
            f"takes {wanted}, and it has {there}",
        )
    if wanted < there and source.read(header.start + wanted, min(6, there - wanted)) == MAGIC:
        raise FormatError(
            source.name,
            "another array follows the first one, as Equinox writes",
            "rename it to .eqx, or name the format: read_state_dict(path, format='eqx')",
        )
    if wanted < there:
        _refuse(source, f"it has {counted(there - wanted, 'byte')} after the data of its array")


def _fortran_strides(shape: tuple[int, ...]) -> list[int]:
    strides = [1]
    for size in shape[:-1]:
        strides.append(strides[-1] * size)
    return strides
