"""What a torch distributed checkpoint is written as: one torch.save a tensor, and the .metadata.

Made by hand, as torch 2.13 pickles its own classes; torch is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO

from caten_sd.encodings.pickle.opcode_output import (
    FALSE,
    NONE,
    POP,
    START,
    STOP,
    Memo,
    called,
    instance,
    integer,
    mapping,
    sequence,
    sizes,
    text,
)
from caten_sd.encodings.zip_output import ZipOutput
from caten_sd.formats.torch.dcp_metadata import EXTRA, MODULE, Record
from caten_sd.formats.torch.pickle_output import pickle_of_one
from caten_sd.state.leaf import Spec

_FILES = "torch.distributed.checkpoint.filesystem"
_VERSION = "1.0.0"  # torch's CURRENT_DCP_VERSION

_CLASSES = (
    "Metadata",
    "TensorStorageMetadata",
    "TensorProperties",
    "ChunkStorageMetadata",
    "MetadataIndex",
    "_MEM_FORMAT_ENCODING",
)
_FIELDS = (
    *("properties", "size", "chunks", "offsets", "sizes", "fqn", "index", "offset"),
    *("relative_path", "length"),
)

Stored = Mapping[str, tuple[Spec, Record]]


def write_record(target: BinaryIO, known: Spec, pieces: Iterable[memoryview]) -> None:
    """Write one tensor as torch.save writes it."""
    output = ZipOutput(target)
    pickled = pickle_of_one(known, "0")
    for name, data in (("data.pkl", pickled), ("byteorder", b"little")):
        output.add(f"archive/{name}", len(data), [data])
    output.add("archive/data/0", known.nbytes, pieces)
    output.add("archive/version", 2, [b"3\n"])
    output.finish()


def dcp_metadata_bytes(stored: Stored, extra: str) -> bytes:
    """Return the .metadata of tensors that lie whole in their records."""
    memo = Memo()
    said_once = _said_once(memo, {known.dtype.name for known, _ in stored.values()})
    parts = {
        "state_dict_metadata": mapping((text(k), _tensor(memo, s)) for k, (s, _) in stored.items()),
        "planner_data": mapping((text(key), sequence([text(key)])) for key in stored),
        "storage_data": mapping(
            (_index(memo, key, known), _place(memo, record))
            for key, (known, record) in stored.items()
        ),
        "storage_meta": NONE,
        "version": text(_VERSION),
        **({EXTRA: text(extra)} if extra else {}),
    }
    state = mapping((text(name), part) for name, part in parts.items())
    return START + said_once + instance(memo.name(MODULE, "Metadata"), state) + STOP


def _said_once(memo: Memo, dtypes: Iterable[str]) -> bytes:
    """Return every name, put on the stack and taken off: from then on the memo has it."""
    names = [
        *((MODULE, name) for name in _CLASSES),
        (_FILES, "_StorageInfo"),
        ("torch", "Size"),
        ("torch.serialization", "_get_layout"),
        *(("torch", name) for name in sorted(dtypes)),
    ]
    fields = [*_FIELDS, "torch.strided"]
    said = [*(memo.name(*name) for name in names), *map(memo.text, fields)]
    return b"".join(part + POP for part in said)


def _tensor(memo: Memo, known: Spec) -> bytes:
    layout = called(memo.name("torch.serialization", "_get_layout"), memo.text("torch.strided"))
    order = called(memo.name(MODULE, "_MEM_FORMAT_ENCODING"), integer(0))
    dtype = memo.name("torch", known.dtype.name)
    properties = instance(
        memo.name(MODULE, "TensorProperties"), sequence([dtype, layout, FALSE, order, FALSE])
    )
    chunk = _object(
        memo,
        MODULE,
        "ChunkStorageMetadata",
        offsets=_size(memo, [0] * len(known.shape)),
        sizes=_size(memo, known.shape),
    )
    return _object(
        memo,
        MODULE,
        "TensorStorageMetadata",
        properties=properties,
        size=_size(memo, known.shape),
        chunks=b"](" + chunk + b"e",
    )


def _index(memo: Memo, key: str, known: Spec) -> bytes:
    offset = _size(memo, [0] * len(known.shape))
    return _object(memo, MODULE, "MetadataIndex", fqn=text(key), index=integer(0), offset=offset)


def _place(memo: Memo, record: Record) -> bytes:
    path, offset, length = text(record.path), integer(record.offset), integer(record.length)
    return _object(memo, _FILES, "_StorageInfo", relative_path=path, offset=offset, length=length)


def _size(memo: Memo, given: Iterable[int]) -> bytes:
    return called(memo.name("torch", "Size"), sizes(given))


def _object(memo: Memo, module: str, name: str, **state: bytes) -> bytes:
    kind = memo.name(module, name)
    return instance(kind, mapping((memo.text(field), value) for field, value in state.items()))
