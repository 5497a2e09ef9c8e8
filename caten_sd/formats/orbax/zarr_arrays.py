"""What the metadata of a zarr array says: its dtype, shape, chunks and codecs.

Source: the specifications of zarr 2 and 3, and what tensorstore 0.1.86 adds: dtypes of ml_dtypes by
their names, whose elements take a byte each where they are narrower.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.errors.printable import one_line
from caten_sd.formats.orbax.chunk_codecs import CODECS
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.indexing import is_shape
from caten_sd.state.json_text import parse_json
from caten_sd.state.source import Source

MOST_TEXT = 1 << 20  # bytes
_SHORT = 1000  # bytes of a text whose values take little memory
_MOST_AXES = 64
_OF_BYTES = ("int2", "int4", "uint2", "uint4", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz")


class Inner(NamedTuple):
    """The chunks within each chunk of zarr 3, with an index that says where they are."""

    chunks: tuple[int, ...]
    codecs: tuple[str, ...]
    index_codecs: tuple[str, ...]
    index_first: bool


class ZarrArray(NamedTuple):
    """An array in chunks; ``order`` is the byte order, "<" or ">".

    ``codecs`` are in the order in which they are undone. ``fortran`` says that the first axis of a
    chunk varies fastest. The key of a chunk is its numbers between ``separator``, after ``start``.
    """

    name: str  # of what says so, in errors
    shape: tuple[int, ...]
    dtype: DType
    order: str
    chunks: tuple[int, ...]
    codecs: tuple[str, ...]
    fill: Any
    start: str
    separator: str
    fortran: bool = False
    inner: Inner | None = None

    @property
    def itemsize(self) -> int:
        """The bytes that an element takes."""
        return self.dtype.itemsize or 1

    @property
    def is_plain(self) -> bool:
        """Whether the bytes of a chunk are those of its elements, as in other files."""
        is_packed = self.codecs or self.inner or not self.dtype.itemsize
        return not is_packed and self.dtype.kind != "other"

    @property
    def grid(self) -> tuple[int, ...]:
        """How many chunks there are along each axis."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.chunks, strict=True))

    def chunk_key(self, numbers: tuple[int, ...]) -> str:
        """Return the key of a chunk, below that of the array."""
        parts = [self.start] if self.start else []
        parts += map(str, numbers)
        return self.separator.join(parts or ["0"])


class Said:
    """The JSON of an array's metadata; each question of it refuses an answer that cannot be."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        if source.size > MOST_TEXT:
            self.refuse(f"it is of {source.size:,} bytes")
        text = source.read(0, source.size)
        try:
            fields = json.loads(text) if len(text) < _SHORT else parse_json(source.name, text)
        except (ValueError, RecursionError):
            self.refuse("it is not JSON")
        if not isinstance(fields, dict):
            self.refuse("it is not a JSON object")
        self.fields: dict[str, Any] = fields

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error that says what is wrong with the metadata."""
        raise FormatError(self.name, problem, "it is damaged, or of another program: get it again")

    def unknown(self, what: str, value: Any) -> NoReturn:
        """Raise the error for something that other programs may know."""
        problem = f"its {what} {one_line(value, 80)} is not one that caten_sd reads"
        raise FormatError(self.name, problem, "restore it with orbax.checkpoint and save it again")

    def shape_and_chunks(self, shape: Any, chunks: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return both, if each axis has as many indices as a chunk or more."""
        if not is_shape(shape) or len(shape) > _MOST_AXES:
            self.refuse(f"its shape is {one_line(shape, 80)}")
        fits = is_shape(chunks) and len(chunks) == len(shape)
        if not fits or any(not 0 < c <= max(n, 1) for c, n in zip(chunks, shape, strict=True)):
            self.refuse(f"its chunks of {one_line(chunks, 80)} are not of an array of {shape}")
        return tuple(shape), tuple(chunks)

    def dtype_named(self, name: Any) -> DType:
        """Return the dtype of this name; one that no other format has is of the kind "other"."""
        if isinstance(name, str) and name in DTYPES and DTYPES[name].bits != 6:
            return DTYPES[name]
        if isinstance(name, str) and name in _OF_BYTES:
            return DType(name, "other", 8)
        return self.unknown("dtype", name)

    def codec_named(self, value: Any, field: str) -> str:
        """Return the name of a codec that is known."""
        name = value.get(field) if isinstance(value, Mapping) else value
        if not isinstance(name, str) or name not in CODECS:
            self.unknown("codec", name)
        return name
