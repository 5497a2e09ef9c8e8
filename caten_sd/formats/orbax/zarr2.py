"""The ``.zarray`` of zarr 2: a dtype as numpy writes it, chunks, and one compressor."""

from __future__ import annotations

import re

from caten_sd.formats.orbax.zarr_arrays import Said, ZarrArray
from caten_sd.state.dtype import DType
from caten_sd.state.source import Source

NAME = ".zarray"
_DTYPE = re.compile(r"([<>|])([fiucb])([0-9]{1,2})")
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


def read_zarray(source: Source) -> ZarrArray:
    """Return what a ``.zarray`` says; FormatError if it is malformed, or not known."""
    said = Said(source)
    fields = said.fields
    shape, chunks = said.shape_and_chunks(fields.get("shape"), fields.get("chunks"))
    order, dtype = _dtype(said)
    if fields.get("filters") not in (None, []):
        said.unknown("filter", fields["filters"])
    if (layout := fields.get("order", "C")) not in ("C", "F"):
        said.unknown("order", layout)
    if (separator := fields.get("dimension_separator", ".")) not in (".", "/"):
        said.unknown("separator", separator)
    packed = fields.get("compressor")
    codecs = () if packed is None else (said.codec_named(packed, "id"),)
    fill, fortran = fields.get("fill_value"), layout == "F"
    return ZarrArray(source.name, shape, dtype, order, chunks, codecs, fill, "", separator, fortran)


def _dtype(said: Said) -> tuple[str, DType]:
    """Return the byte order and the dtype of a text as "<f4", or of a name."""
    text = said.fields.get("dtype")
    found = _DTYPE.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return "<", said.dtype_named(text)
    order, kind, size = found[1], found[2], int(found[3])
    name = "bool" if (kind, size) == ("b", 1) else f"{_KINDS.get(kind)}{8 * size}"
    return order.replace("|", "<"), said.dtype_named(name)
