"""Checkpoints of every format whose names, values and paths are made to harm whoever reads them."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import numpy as np
import torch

VALUES = np.ones((2, 2), np.float32)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def safetensors(names: list[str], metadata: dict[str, str], data: bytes = b"") -> bytes:
    entries = {
        name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * at, 16 * at + 16]}
        for at, name in enumerate(names)
    }
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    return struct.pack("<Q", len(header)) + header + (data or VALUES.tobytes() * len(names))


def _gguf(text: str) -> bytes:
    def string(value: str) -> bytes:
        return struct.pack("<Q", len(_utf8(value))) + _utf8(value)

    entries = [
        string(text) + struct.pack("<I", 8) + string(text),
        string("general.architecture") + struct.pack("<I", 8) + string(text),
        string("eps") + struct.pack("<If", 6, math.nan),
        string("most") + struct.pack("<IIQ2f", 9, 6, 2, math.inf, -math.inf),
    ]
    tensor = string(text[:60]) + struct.pack("<IQQIQ", 2, 2, 2, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(entries)) + b"".join(entries) + tensor
    return head + bytes(-len(head) % 32) + VALUES.tobytes()


def _pickle(text: str) -> bytes:
    """Return {text: an object of the class text.text, "epoch": 3}."""
    word = b"X" + struct.pack("<I", len(_utf8(text))) + _utf8(text)
    return b"\x80\x04}(" + word + word + word + b"\x93)RX\x05\0\0\0epochK\3u."


def _npz(text: str) -> bytes:
    array, out = io.BytesIO(), io.BytesIO()
    np.save(array, VALUES)
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(f"{text}.npy", array.getvalue())
    return out.getvalue()


def _tar(text: str) -> bytes:
    out, member = io.BytesIO(), safetensors(["w"], {})
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in (f"{text}.safetensors", f"2{text}.safetensors"):
            info = tarfile.TarInfo(name)
            info.size = len(member)
            file.addfile(info, io.BytesIO(member))
    return out.getvalue()


def _zip(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in (f"{text}.safetensors", f"2{text}.safetensors"):
            file.writestr(name, safetensors(["w"], {}))
    return out.getvalue()


def _torch(text: str) -> bytes:
    out = io.BytesIO()
    tree = {f"{text}.w": torch.ones(2, 2)}
    torch.save({text: tree, f"2{text}": {f"{text}.w": torch.ones(2, 2)}, "epoch": 3}, out)
    return out.getvalue()


def _msgpack(text: str) -> bytes:
    array = msgpack.packb(((2, 2), "float32", VALUES.tobytes()))
    tree = {text: {text: msgpack.ExtType(1, array)}}
    packed: bytes = msgpack.packb(tree, unicode_errors="surrogatepass")
    return packed


FILES: dict[str, Callable[[str], bytes]] = {
    "one.safetensors": lambda text: safetensors(
        [f"{text}.weight", f"{text}.bias"], {text: text, "caten_sd.layout": text}
    ),
    "cut.safetensors": lambda text: safetensors([text], {text: text}, b"123"),
    "prefixed.safetensors": lambda text: safetensors([f"{text}.weight", f"{text}.3.w"], {}),
    "one.gguf": _gguf,
    "one.pkl": _pickle,
    "one.npz": _npz,
    "one.tar": _tar,
    "one.zip": _zip,
    "one.pt": _torch,
    "one.msgpack": _msgpack,
}


def hostile_files(text: str, folder: Path) -> Iterator[Path]:
    """Write what can be written with this text in it, and yield the path of each."""
    for name, content in FILES.items():
        try:
            (folder / name).write_bytes(content(text))
        except (UnicodeError, RuntimeError):
            continue  # this format cannot hold the text
        yield folder / name
    sharded = folder / "sharded"
    sharded.mkdir()
    index = {"metadata": {text: text}, "weight_map": {text: f"{text}.safetensors"}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    yield sharded
    configured = folder / "configured"
    configured.mkdir()
    (configured / "config.json").write_text(json.dumps({"model_type": text, text: [text]}))
    (configured / "model.safetensors").write_bytes(safetensors([text], {}))
    yield configured
    yield from _with_hostile_path(text, folder)


def _with_hostile_path(text: str, folder: Path) -> Iterator[Path]:
    name = text.replace("/", "").replace("\0", "")[:200]
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return
    below = folder / name
    below.mkdir()
    for each in ("a", "b"):
        (below / f"{each}{name}"[:200]).with_suffix(".safetensors").write_bytes(
            safetensors(["w"], {})
        )
    yield below
    (folder / f"{name}.safetensors").write_bytes(safetensors(["a.w", "a.b"], {}))
    yield folder / f"{name}.safetensors"
