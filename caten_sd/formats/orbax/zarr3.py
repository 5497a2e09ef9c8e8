"""The ``zarr.json`` of zarr 3: a dtype by name, chunks that may hold others, and codecs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.formats.orbax.zarr_arrays import Inner, Said, ZarrArray
from caten_sd.state.source import Source

NAME = "zarr.json"


def read_zarr_json(source: Source) -> ZarrArray:
    """Return what a ``zarr.json`` says; FormatError if it is malformed, or not known."""
    said = Said(source)
    fields = said.fields
    if (node := fields.get("node_type")) != "array":
        said.unknown("node_type", node)
    chunks = _configured(said, "chunk_grid", fields.get("chunk_grid"), ("regular",))
    shape, sizes = said.shape_and_chunks(fields.get("shape"), chunks.get("chunk_shape"))
    encoding = fields.get("chunk_key_encoding")
    keys = _configured(said, "chunk_key_encoding", encoding, ("default", "v2"))
    is_default = _name(encoding) == "default"
    separator = keys.get("separator", "/" if is_default else ".")
    if separator not in ("/", "."):
        said.unknown("separator", separator)
    order, codecs, inner = _codecs(said, fields.get("codecs"), sizes)
    dtype, fill = said.dtype_named(fields.get("data_type")), fields.get("fill_value")
    start = "c" if is_default else ""
    return ZarrArray(
        source.name, shape, dtype, order, sizes, codecs, fill, start, separator, inner=inner
    )


def _name(value: Any) -> Any:
    return value.get("name") if isinstance(value, Mapping) else value


def _configured(said: Said, what: str, value: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """Return the configuration of something that has one of the known names."""
    if _name(value) not in known:
        said.unknown(what, _name(value))
    found = value.get("configuration") if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _codecs(
    said: Said, listed: Any, chunks: tuple[int, ...]
) -> tuple[str, tuple[str, ...], Inner | None]:
    """Return the byte order, the codecs of bytes as they are undone, and the chunks within."""
    if not isinstance(listed, list) or not 0 < len(listed) <= 8:
        said.refuse("its codecs are not a list of a few")
    first, *rest = listed
    codecs = tuple(said.codec_named(each, "name") for each in reversed(rest))
    if _name(first) != "sharding_indexed":
        endian = _configured(said, "codec", first, ("bytes",)).get("endian", "little")
        if endian not in ("little", "big"):
            said.unknown("byte order", endian)
        return "<" if endian == "little" else ">", codecs, None
    if codecs:
        said.unknown("codec", f"{codecs[-1]} of chunks with an index")
    return _within(said, first, chunks)


def _within(
    said: Said, sharding: Any, chunks: tuple[int, ...]
) -> tuple[str, tuple[str, ...], Inner | None]:
    known = _configured(said, "codec", sharding, ("sharding_indexed",))
    _, sizes = said.shape_and_chunks(list(chunks), known.get("chunk_shape"))
    if any(whole % size for whole, size in zip(chunks, sizes, strict=True)):
        said.refuse(f"its chunks of {list(chunks)} do not consist of chunks of {list(sizes)}")
    order, codecs, deeper = _codecs(said, known.get("codecs"), sizes)
    little, of_index, _ = _codecs(said, known.get("index_codecs"), sizes)
    if deeper or little != "<" or not set(of_index) <= {"crc32c"}:
        said.unknown("codec", "sharding_indexed in another, or with a packed index")
    where = known.get("index_location", "end")
    if where not in ("start", "end"):
        said.unknown("index_location", where)
    return order, (), Inner(sizes, codecs, of_index, where == "start")
