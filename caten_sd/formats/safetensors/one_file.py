"""safetensors: 8 bytes of header length, a JSON header, and the tensors' bytes without gaps.

Format: https://github.com/huggingface/safetensors#format. The reference library cannot give lazy
leaves or write in pieces, and its numpy writer (0.8.0) corrupts non-contiguous arrays silently. It
is the oracle in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

from caten_sd.errors import StateDictError
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.json_hooks import plain
from caten_sd.files.sidecar import EMPTY, RECORD, parse_sidecar
from caten_sd.formats.safetensors.json_header import MAX_HEADER, NAMES, read_header, refuse
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

_CODES = {ours: name for name, ours in NAMES.items()}


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
    header = read_header(source)
    metadata = {} if header.metadata is None else header.metadata  # MLX writes null for none
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        refuse(source, "its __metadata__ is not a map from string to string")
    start, begins, specs = header.start, header.begins, header.specs

    def leaf(position: int) -> LazyTensor:
        known = specs[position]
        return LazyTensor(source, start + begins[position], known.dtype, known.shape)

    leaves = LeafTable(header.keys, leaf)
    record = parse_sidecar(metadata.pop(RECORD, "{}").encode(errors="surrogatepass"), source.name)
    record.add_ties(leaves, source.name)
    return Contents(leaves, metadata, record.ties or None)


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
            f"max_shard_size= or --max-shard-size"
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
