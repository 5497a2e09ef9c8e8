"""A sound file of another library is named with what reads it, whatever its name."""

from __future__ import annotations

import lzma
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from caten_sd import FormatError, read_state_dict
from caten_sd.cli import main
from caten_sd.files.foreign_files import foreign_file

W = np.arange(12, dtype="f4").reshape(3, 4)


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer that has a length."""
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def mindspore() -> bytes:
    tensor = b"\x08\x03\x08\x04" + field(2, b"Float32") + field(3, W.tobytes())
    return field(1, field(1, b"conv1.weight") + field(2, tensor)) * 2


def tensor_flow_graph() -> bytes:
    return field(1, field(1, b"x") + field(2, b"Placeholder")) * 2


def onnx(*, producer: bytes) -> bytes:
    graph = field(7, field(1, field(1, b"x") + field(2, b"y") + field(4, b"Relu")))
    return b"\x08\x0a" + (field(2, producer) if producer else b"") + graph + field(8, b"\x10\x11")


def joblib_dump() -> bytes:
    # A pickle that names joblib's class, and the bytes of the array after it.
    named = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81N" + b"b\x0b" + b"\xff" * 11
    return b"\x80\x02}U\x01w" + named + W.tobytes() + b"s."


FOREIGN = {
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "h5py"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(40), "litert"),
    "ExecuTorch": (b"\x20\0\0\0ET12" + bytes(40), "export"),
    "ONNX Runtime": (b"\x20\0\0\0ORTM" + bytes(40), "onnxruntime"),
    "ONNX model": (onnx(producer=b"pytorch"), "onnx.load"),
    "an ONNX model": (onnx(producer=b""), "onnx.load"),
    "Core ML": (b"\x08\x05" + field(2, field(1, b"\x0a\x01x")) + bytes(40), "coremltools"),
    "graph of TensorFlow": (tensor_flow_graph(), "GraphDef"),
    "MindSpore": (mindspore(), "mindspore.load_checkpoint"),
    "joblib": (joblib_dump(), "joblib.load"),
    "zlib data, as joblib": (zlib.compress(joblib_dump()), "joblib.load"),
    "lzma data": (lzma.compress(joblib_dump(), lzma.FORMAT_ALONE, preset=3), "joblib.load"),
    "old GGML": (struct.pack("<I", 0x67676A74) + bytes(40), "GGUF"),
    "TensorRT": (b"ftrt" + bytes(40), "export"),
    "SQLite": (b"SQLite format 3\0" + bytes(40), "sqlite3"),
    "MATLAB": (b"MATLAB 5.0 MAT-file" + bytes(90), "loadmat"),
    "llamafile": (b"MZqFpD='\n" + bytes(40), "unzip"),
    "TensorFlow.js": (b'{"format": "layers-model", "modelTopology": {}}', "tensorflowjs_converter"),
    "a TensorFlow.js": (b'{"weightsManifest":[{"paths":["group1-shard1of1.bin"]', "tensorflowjs"),
    "of a TensorFlow.js": (
        b'{"generatedBy": "2", "convertedBy": "TensorFlow.js Converter"',
        "tensorf",
    ),
}
SUFFIXES = (".pt", ".ckpt", ".bin", ".pkl", ".npy", ".safetensors", ".gguf", ".npz", ".odd", "")


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_named_with_what_reads_it_and_not_called_damaged(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    data, reader = FOREIGN[kind]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_state_dict(path)
    assert kind in str(caught.value)
    assert reader in str(caught.value)
    assert "damaged" not in str(caught.value)
    assert "get it again" not in str(caught.value)


def test_the_command_line_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.ckpt").write_bytes(mindspore())
    assert main(["convert", str(tmp_path / "m.ckpt"), str(tmp_path / "m.npz")]) == 2
    assert "mindspore.load_checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "m.npz").exists()


@pytest.mark.parametrize(
    "data", [b"\x0a\x7f" * 256, b"\x0a\x10\x0a\x7f" + b"\x12" * 500, b"\x08\x01"]
)
def test_no_bytes_take_long(data: bytes) -> None:
    start = time.perf_counter()
    foreign_file(data)
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("data", [W.tobytes(), bytes(48), b"text text text text"])
@pytest.mark.parametrize("name", ["group1-shard1of1.bin", "group10-shard2of31"])
def test_weights_whose_bytes_show_nothing_are_named_by_their_name(
    data: bytes, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FormatError, match=r"TensorFlow\.js.*tensorflowjs_converter"):
        read_state_dict(tmp_path / name)


def test_real_dumps_of_joblib(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    for compress in (0, 3, ("lzma", 3)):
        joblib.dump({"w": W}, tmp_path / "w.pkl", compress=compress)
        with pytest.raises(FormatError, match=r"joblib\.load"):
            read_state_dict(tmp_path / "w.pkl")
