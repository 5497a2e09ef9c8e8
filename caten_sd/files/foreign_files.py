"""Name a file of another library by its first bytes, with what reads it."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

_ARRAYS = "and write its arrays with numpy.savez"
_UNPACK = "convert or unpack it first"
_ENGINE = "export the model that it was built from"
_MATCHED = 256  # bytes
_OF_TFJS = "convert it with tensorflowjs_converter"
_GGML = "convert it to GGUF with a llama.cpp of 2023"


class ForeignFile(NamedTuple):
    """What a file is, and what to do with it."""

    kind: str
    fix: str


_KINDS = (  # the position of the bytes, the bytes, the kind, the fix
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights, say)", f"read it with h5py, {_ARRAYS}"),
    (0, b"\x1f\x8b", "gzip data", _UNPACK),
    (0, b"BZh", "bzip2 data", _UNPACK),
    (0, b"\xfd7zXZ\x00", "xz data", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstandard data", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "lz4 data", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"%PDF", "a PDF", _UNPACK),
    (0, b"\x89PNG", "a PNG image", _UNPACK),
    (0, b"GGML", "an old GGML file, from before GGUF", _GGML),
    (0, b"ggjt", "an old GGML file, from before GGUF", _GGML),
    (0, b"lmgg", "an old GGML file, from before GGUF", _GGML),
    (0, b"tjgg", "an old GGML file, from before GGUF", _GGML),
    (0, b"fmgg", "an old GGML file, from before GGUF", _GGML),
    (4, b"TFL3", "a TensorFlow Lite file", "load it with ai_edge_litert.Interpreter"),
    (4, b"ORTM", "an ONNX Runtime file", "load it with onnxruntime.InferenceSession"),
    (4, b"ET12", "an ExecuTorch program", _ENGINE),
    (0, b"ftrt", "a TensorRT engine", _ENGINE),
    (0, b"ptrt", "a TensorRT engine", _ENGINE),
    (0, b"PAR1", "a Parquet file", f"read it with pyarrow, {_ARRAYS}"),
    (0, b"ARROW1\0\0", "an Arrow file", f"read it with pyarrow, {_ARRAYS}"),
    (0, b"SQLite format 3\0", "an SQLite database", "read it with sqlite3"),
    (0, b"CDF\x01", "a NetCDF file", f"read it with scipy.io.netcdf_file, {_ARRAYS}"),
    (0, b"CDF\x02", "a NetCDF file", f"read it with scipy.io.netcdf_file, {_ARRAYS}"),
    (0, b"MATLAB 5.0", "a MATLAB file", f"read it with scipy.io.loadmat, {_ARRAYS}"),
    (0, b"RDX", "data of R", "read it with R"),
    (0, b"MZqFpD", "a llamafile", "extract the .gguf in it with unzip"),
    (0, b"MZ", "a program for Windows", "name the checkpoint itself"),
    (0, b"\x7fELF", "a program or library of Linux", "name the checkpoint itself"),
)

# Protocol buffers have no magic number; these are the first fields as their writers order them.
_SIZE = rb"[\x80-\xff]{0,9}[\0-\x7f]"
_NAME = rb"[\x01-\x7f][\x20-\x7e]+"
_PATTERNS = (
    (
        rb"\]\0\0..\xff{8}",
        "lzma data",
        "unpack it with lzma, or read it with joblib.load if joblib wrote it",
    ),
    (  # ir_version, then producer_name, model_version, graph or opset_import
        rb"\x08[\x01-\x20](?:\x12[\x01-\x7f][\w.\- ]|\x28[\0-\x7f]\x3a|[\x3a\x42]%b\x0a)" % _SIZE,
        "an ONNX model",
        f"read its initializers with onnx.load, {_ARRAYS}",
    ),
    (  # a version and a message
        rb"\x08[\x01-\x0f]\x12%b\x0a" % _SIZE,
        "a Core ML model, or the saved_model.pb of TensorFlow",
        "load it with coremltools, or its folder with tensorflow.saved_model.load",
    ),
    (
        rb'\s*\{.{0,200}?"(?:modelTopology|weightsManifest|convertedBy": ?"TensorFlow\.js)',
        "the model.json of a TensorFlow.js model",
        _OF_TFJS,
    ),
    (  # GraphDef.node: its name and its operation
        rb"\x0a%b\x0a%b\x12[\x01-\x40][A-Z_]\w+" % (_SIZE, _NAME),
        "a frozen graph of TensorFlow",
        f"read its Const nodes with tensorflow.compat.v1.GraphDef, {_ARRAYS}",
    ),
    (  # Checkpoint.value: its tag, and a tensor of dims and type
        rb"\x0a%b\x0a%b\x12%b(?:\x08%b){0,64}(?:\x0a%b.{0,80}?)?\x12.B?(?:Float|U?Int|Bool|Complex)"
        % (_SIZE, _NAME, _SIZE, _SIZE, _SIZE),
        "a MindSpore checkpoint",
        f"read it with mindspore.load_checkpoint, {_ARRAYS}",
    ),
)


def foreign_file(head: bytes) -> ForeignFile | None:
    """Return what a file is that begins with these bytes, or None if they do not show it.

    >>> foreign_file(b"PAR1" + bytes(8)).kind
    'a Parquet file'
    """
    for start, magic, kind, fix in _KINDS:
        if head.startswith(magic, start):
            return ForeignFile(kind, fix)
    for pattern, kind, fix in _PATTERNS:
        if re.match(pattern, head[:_MATCHED], re.DOTALL):
            return ForeignFile(kind, fix)
    return _of_joblib(head)


def foreign_name(name: str) -> ForeignFile | None:
    """Return what a file is whose bytes show nothing, by the name that its writer always gives it.

    >>> foreign_name("web/group1-shard1of2.bin").kind
    'a part of the weights of a TensorFlow.js model'
    """
    if re.fullmatch(r"(?:.*[/\\])?group[0-9]+-shard[0-9]+of[0-9]+(?:\.bin)?", name, re.DOTALL):
        return ForeignFile("a part of the weights of a TensorFlow.js model", _OF_TFJS)
    return None


def _of_joblib(head: bytes) -> ForeignFile | None:
    """Return that it is of joblib if it is zlib data, which is how joblib packs a dump."""
    if head[:1] != b"\x78" or int.from_bytes(head[:2], "big") % 31:
        return None
    try:
        zlib.decompressobj().decompress(head, 512)
    except zlib.error:
        return None
    return ForeignFile("zlib data, as joblib packs it", "read it with joblib.load, " + _ARRAYS)


def is_joblib(head: bytes) -> bool:
    """Return whether a pickle names the class after which joblib writes an array's bytes."""
    return b"joblib.numpy_pickle" in head and b"NumpyArrayWrapper" in head
