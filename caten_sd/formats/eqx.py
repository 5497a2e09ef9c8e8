"""eqx: the arrays of a tree one after another, as equinox.tree_serialise_leaves writes them.

Each is an .npy file of its own, and none has a name: their keys are their numbers. A module of
Equinox that such a file is loaded into knows which array is which. A first line of JSON, as people
put there for what builds the model, is in the metadata.
"""

from __future__ import annotations

import math
from typing import Any

from caten_sd.encodings.npy import MAGIC, NpyHeader, npy_dtype, npy_header, npy_leaf
from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.state.dtype import DTYPES, is_raw_pair
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict

MAX_LINE = 1 << 20  # bytes of JSON before the first array


class Eqx(Format):
    """Arrays without names; read only, as a state dict does not know all that is in a tree."""

    name = "eqx"
    suffixes = (".eqx",)
    sources = ("file",)
    read_only = True


@recognize.register(Eqx, Source)
def _recognize(format: Eqx, source: Source, /) -> str | None:
    line = _first_line(source)
    if line:
        return "a line of JSON and an npy header"
    if source.head(len(MAGIC)) != MAGIC:
        return None
    try:
        _, end = _header_and_end(source, 0)
    except FormatError:
        return None
    if source.name.lower().endswith(".eqx"):
        return "an npy header"
    follows = end + len(MAGIC) <= source.size and source.read(end, len(MAGIC)) == MAGIC
    return "an npy header after an array" if follows else None


@read.register(Eqx, Source)
def _read(format: Eqx, source: Source, /) -> Contents:
    line = _first_line(source)
    at = len(line)
    leaves: dict[str, Any] = {}
    while at < source.size or not leaves:
        header, end = _header_and_end(source, at)
        end = min(end, source.size)
        leaves[str(len(leaves))] = _known(npy_leaf(source.window(at, end - at), header))
        at = end
    metadata = {"hyperparameters": line.decode("utf-8", "replace").strip()} if line else {}
    return Contents(leaves, metadata, whole=True)


@write.register(Eqx)
def _write(format: Eqx, target: Any, state_dict: StateDict, /, **options: Any) -> None:
    raise StateDictError(
        "a state dict lacks the numbers that an .eqx file has between its arrays; write the model "
        "with equinox.tree_serialise_leaves(path, model), or write a .safetensors file"
    )


def _first_line(source: Source) -> bytes:
    """Return the line of JSON before the first array, or b""."""
    if source.head(1) != b"{":
        return b""
    line, newline, rest = source.head(MAX_LINE).partition(b"\n")
    return line + newline if rest[: len(MAGIC)] == MAGIC else b""


def _header_and_end(source: Source, at: int) -> tuple[NpyHeader, int]:
    """Return the header of the array that begins at a position, and where the array ends."""
    rest = source.window(at, source.size - at)
    header = npy_header(rest)
    dtype = npy_dtype(header.descr)
    if dtype is None:
        raise FormatError(
            source.name,
            f"its array at byte {at} is of the dtype {header.descr[:40]!r}, which no tensor has",
            "it is damaged or not of Equinox, so get it again",
        )
    return header, at + header.start + dtype.nbytes(math.prod(header.shape))


def _known(leaf: Any) -> Any:
    """Return the leaf; of JAX's dtypes without a name in numpy, bfloat16 alone has two bytes."""
    return leaf.taken_as(DTYPES["bfloat16"]) if is_raw_pair(leaf.dtype) else leaf
