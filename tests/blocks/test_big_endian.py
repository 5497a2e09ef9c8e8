from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.scripts import gguf_convert_endian

from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict

VALUES = np.random.default_rng(0).normal(size=(3, 256)).astype("f4")
# What gguf-py converts; it cannot quantize to the K types, so these bytes are arbitrary.
CONVERTED = [kind.name for kind in gguf_convert_endian.byteswap_tensors]


def write(path: Path, name: str) -> None:
    kind = GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(0).integers(0, 60, (3, 256 // elements * size), np.uint8)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_tensor("w", raw, raw_dtype=kind)
    writer.add_tensor("f", VALUES)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def to_big_endian(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "YES")
    reader = gguf.GGUFReader(path, "r+")
    arguments = argparse.Namespace(order="big", dry_run=False)
    gguf_convert_endian.convert_byteorder(reader, arguments)
    reader.data.flush()


@pytest.mark.parametrize("name", CONVERTED)
def test_blocks_that_gguf_py_converted_are_what_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / "little.gguf", name)
    write(tmp_path / "big.gguf", name)
    to_big_endian(tmp_path / "big.gguf", monkeypatch)
    with (
        read_state_dict(tmp_path / "little.gguf") as little,
        read_state_dict(tmp_path / "big.gguf") as big,
    ):
        np.testing.assert_array_equal(big["f"].numpy(), VALUES)
        np.testing.assert_array_equal(big["w"].numpy(), little["w"].numpy())
        write_state_dict(big, tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "little.gguf").read_bytes()


def test_a_type_without_a_big_endian_form_is_refused(tmp_path: Path) -> None:
    kind = GGMLQuantizationType.Q5_0
    writer = gguf.GGUFWriter(tmp_path / "b.gguf", "gpt2", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("w", gguf.quants.quantize(VALUES, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(FormatError, match="'w' is q5_0, for which no tool defines a big-endian"):
        read_state_dict(tmp_path / "b.gguf")
