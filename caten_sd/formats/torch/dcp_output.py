"""The bytes of a torch distributed checkpoint: one torch.save for each tensor, and the .metadata.

They are what torch 2.13 writes when it pickles its own classes; torch is not needed.
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
from caten_sd.files.sidecar import EMPTY
from caten_sd.formats.torch.dcp_metadata import EXTRA, MODULE
from caten_sd.formats.torch.dcp_objects import Record
from caten_sd.formats.torch.pickle_output import pickle_of_one, torch_can_hold
from caten_sd.state.leaf import Spec
from caten_sd.state.state_dict import StateDict

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


def dcp_can_hold(known: Spec) -> bool:
    """Return whether a record can hold a tensor of this dtype and shape."""
    return known.dtype.itemsize > 0 and torch_can_hold(known)


def extra_of(state_dict: StateDict) -> str:
    """Return the text under EXTRA: the ties and the metadata, or "" if there are none."""
    record = EMPTY._replace(ties=dict(state_dict.ties), metadata=dict(state_dict.metadata))
    return record.to_json().decode() if record else ""


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
    """Return the .metadata of tensors that have one record each."""
    memo = Memo()
    memoized = _memoized(memo, {known.dtype.name for known, _ in stored.values()})
    fields = {
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
    state = mapping((text(name), value) for name, value in fields.items())
    return START + memoized + instance(memo.name(MODULE, "Metadata"), state) + STOP


def _memoized(memo: Memo, dtypes: Iterable[str]) -> bytes:
    """Return opcodes that push and pop every name, so that all later uses come from the memo."""
    names = [
        *((MODULE, name) for name in _CLASSES),
        (_FILES, "_StorageInfo"),
        ("torch", "Size"),
        ("torch.serialization", "_get_layout"),
        *(("torch", name) for name in sorted(dtypes)),
    ]
    fields = [*_FIELDS, "torch.strided"]
    pushed = [*(memo.name(*name) for name in names), *map(memo.text, fields)]
    return b"".join(push + POP for push in pushed)


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


def _size(memo: Memo, values: Iterable[int]) -> bytes:
    return called(memo.name("torch", "Size"), sizes(values))


def _object(memo: Memo, module: str, name: str, **state: bytes) -> bytes:
    made_of = memo.name(module, name)
    return instance(made_of, mapping((memo.text(field), value) for field, value in state.items()))
