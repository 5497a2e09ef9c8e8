"""Real safetensors, npz and msgpack files, tensor by tensor against the formats' own libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from safetensors.numpy import load_file

from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from tests.formats.registry import unpack

pytestmark = pytest.mark.slow

SILERO = "silero_vad/data/silero_vad_16k.safetensors"
G2P = "g2p_en/checkpoint20.npz"
FUSION = "fusion_surrogates/qlknn/models/qlknn_7_11.qlknn"
PACKAGES = {"silero-vad==6.2.3": SILERO, "g2p-en==2.1.0": G2P, "fusion-surrogates==0.4.7": FUSION}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("real"), PACKAGES, PACKAGES.values())


def flax_arrays(node: Any, path: str = "") -> dict[str, Any]:
    """Return the arrays of a tree that msgpack unpacked, by dotted path."""
    if isinstance(node, dict):
        below = [flax_arrays(value, f"{path}.{key}".lstrip(".")) for key, value in node.items()]
        return {key: array for part in below for key, array in part.items()}
    return {path: node} if isinstance(node, np.ndarray) else {}


def flax_leaf(code: int, data: bytes) -> Any:
    """Return an array as flax.serialization encodes one: ext 1 of shape, dtype and bytes."""
    if code != 1:
        return None
    shape, dtype, buffer = msgpack.unpackb(data, raw=True)
    return np.frombuffer(buffer, dtype.decode()).reshape(shape)


def expected(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}
    return flax_arrays(msgpack.unpackb(path.read_bytes(), ext_hook=flax_leaf, strict_map_key=False))


@pytest.mark.parametrize(("inner", "count"), [(SILERO, 15), (G2P, 12), (FUSION, None)])
def test_every_tensor_is_what_its_own_library_reads(folder: Path, inner: str, count: int | None):
    arrays = expected(folder / inner)
    assert arrays
    with read_state_dict(folder / inner) as found:
        assert len(found) == (count or len(arrays))
        for key, leaf in found.items():
            # The root of a nested file is not part of its keys.
            name = next(name for name in arrays if name == key or name.endswith(f".{key}"))
            assert leaf.numpy().dtype == arrays[name].dtype
            np.testing.assert_array_equal(leaf.numpy(), arrays[name])
        write_state_dict(found, folder / "again.safetensors")
        again = load_file(folder / "again.safetensors")
        assert sorted(again) == sorted(found)
