"""Write the header of a GGUF file: version 3, little endian, the same bytes as gguf-py."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from caten_sd.blocks.block_types import block_types
from caten_sd.errors import StateDictError
from caten_sd.files.json_hooks import plain
from caten_sd.formats.gguf.header import ALIGNMENT, DEFAULT_ALIGNMENT, MAGIC, VERSION
from caten_sd.formats.gguf.tensor_table import DENSE, MAX_RANK
from caten_sd.formats.gguf.values import CODES, NUMBERS, TYPES, Array, default_type
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec

MAX_NAME = 63  # bytes of a tensor's name; GGML_MAX_NAME of ggml.h, which counts a NUL too

# Numbers that readers want as floats of 32 bits, though no float32 is exactly 1e-5, and though a
# configuration may have them as whole numbers.
_FLOATS = re.compile(
    r".+\.(attention\.(layer_norm(_rms)?_epsilon|group_norm_epsilon|max_alibi_bias|clamp_kqv"
    r"|scale|(output|value|temperature)_scale)"
    r"|rope\.(freq_base(_swa)?|scaling\.(factor|alpha|attn_factor|yarn_\w+))"
    r"|(logit|residual|embedding|expert_weights)_scale|(attn|final|router)_logit_softcapping)"
    r"|general\.sampling\.(top_p|min_p|xtc_\w+|temp|penalty_repeat|mirostat_(tau|eta))"
)
_SIGNED = re.compile(r"general\.sampling\.(top_k|penalty_last_n|mirostat)")
_FLOAT_ARRAYS = re.compile(r"tokenizer\.ggml\.scores|.+\.activation_sparsity_scale")
_ARRAYS = {"tokenizer.ggml.merges": ["string"], "tokenizer.ggml.precompiled_charsmap": ["uint8"]}

_DENSE_NUMBERS = {dtype.name: number for number, dtype in DENSE.items()}


def type_number(dtype: DType) -> int | None:
    """Return GGUF's number for an element type or a block type, or None."""
    if dtype.kind == "block":
        found = block_types().get(dtype.name)
        return found.gguf if found else None
    return _DENSE_NUMBERS.get(dtype.name)


def can_store(known: Spec) -> bool:
    """Return whether GGUF has a type for a leaf of this spec."""
    return type_number(known.dtype) is not None


def header_bytes(specs: Mapping[str, Spec], metadata: Mapping[str, Any]) -> tuple[bytes, int]:
    """Return everything before the data, padded, and the alignment of the data.

    StateDictError for a metadata value that its recorded type cannot hold.
    """
    values = {key: value for key, value in metadata.items() if key != TYPES}
    types = _recorded_types(metadata)
    alignment = _alignment(values)
    head = bytearray(struct.pack("<4sIQQ", MAGIC, VERSION, len(specs), len(values)))
    for key, value in values.items():
        head += _text(key) + _typed(key, value, types.get(key))
    offset = 0
    for name, known in specs.items():
        head += _row(name, known, offset)
        offset += known.nbytes + -known.nbytes % alignment
    return bytes(head + padding(len(head), alignment)), alignment


def padding(count: int, alignment: int) -> bytes:
    """Return the zeros that pad ``count`` bytes to a multiple of ``alignment``."""
    return bytes(-count % alignment)


def _alignment(values: Mapping[str, Any]) -> int:
    text = str(values.get(ALIGNMENT, DEFAULT_ALIGNMENT))
    alignment = int(text) if text.isdecimal() and len(text) < 20 else 0
    if not 0 < alignment < 1 << 32 or alignment & (alignment - 1):
        raise StateDictError(
            f"the metadata {ALIGNMENT!r} is {values[ALIGNMENT]!r}, and must be a power of two; "
            f"set it to {DEFAULT_ALIGNMENT} or leave it out"
        )
    return alignment


def _row(name: str, known: Spec, offset: int) -> bytes:
    if len(name.encode()) > MAX_NAME:
        raise StateDictError(
            f"{name!r} has {len(name.encode())} bytes, and GGUF allows {MAX_NAME}; rename it, as a "
            f"layout of GGUF does"
        )
    rank = len(known.shape)
    if rank > MAX_RANK or not name:
        problem = f"{name!r} has {rank} dimensions, and GGUF allows at most {MAX_RANK}"
        raise StateDictError(
            f"{problem}; reshape it or leave it out" if name else "a key is empty; rename it"
        )
    shape = known.shape[::-1]
    return _text(name) + struct.pack(f"<I{rank}QIQ", rank, *shape, type_number(known.dtype), offset)


def _recorded_types(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of types; formats whose metadata is text hold it as JSON."""
    types = metadata.get(TYPES, {})
    try:
        types = json.loads(types) if isinstance(types, str) else types
    except (ValueError, RecursionError):
        types = None
    if not isinstance(types, Mapping):
        raise StateDictError(f"the metadata {TYPES!r} is not a map of key to type; leave it out")
    floats = {key: "float32" for key in metadata if _FLOATS.fullmatch(key)}
    floats |= {key: "int32" for key in metadata if _SIGNED.fullmatch(key)}
    arrays = {key: ["float32"] for key in metadata if _FLOAT_ARRAYS.fullmatch(key)}
    known = {key: type for key, type in _ARRAYS.items() if key in metadata}
    return {ALIGNMENT: "uint32", **floats, **arrays, **known, **types}


def _typed(key: str, value: Any, type: Any) -> bytes:
    """Return the type and the bytes of a value; ``type`` is None if none is recorded."""
    try:
        if type not in (None, "string") and isinstance(value, str):
            value = json.loads(value)  # formats whose metadata is text hold it as JSON
        if type is None and (type := default_type(value)) is None:
            type, value = "string", json.dumps(value, default=plain)
        return _type(type) + _value(value, type)
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StateDictError(
            f"the metadata {key!r} is {_short(value)}, and a GGUF {type} cannot hold it ({error}); "
            f"change it, or remove {key!r} from the metadata {TYPES!r}"
        ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _type(type: Any) -> bytes:
    return struct.pack("<I", NUMBERS["array"] if isinstance(type, list) else NUMBERS[type])


def _value(value: Any, type: Any) -> bytes:
    if isinstance(type, list):
        return _array(value, type)
    if type == "string":
        return _text(value)
    if type == "bool" and not isinstance(value, bool):
        raise TypeError("it is not a bool")
    return struct.pack(f"<{CODES[type]}", value)


def _array(value: Any, type: list[Any]) -> bytes:
    if isinstance(value, Array) and type == [value.type] and value.order == "<":
        return _type(value.type) + struct.pack("<Q", len(value)) + value.stored
    if len(type) == 1 and isinstance(type[0], str):
        items = value.raw() if isinstance(value, Array) else value
        return _count(type[0], items) + b"".join(_value(item, type[0]) for item in items)
    if len(type) != len(value):
        raise ValueError("the value and its type differ in length")
    return _count("array", value) + b"".join(map(_array, value, type))


def _count(type: str, items: Any) -> bytes:
    return _type(type) + struct.pack("<Q", len(items))


def _text(value: Any) -> bytes:
    stored = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(stored)) + stored
