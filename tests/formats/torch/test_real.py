"""Real checkpoints out of the package registry, tensor by tensor against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from tests.formats.registry import unpack

pytestmark = pytest.mark.slow

PACKAGES = {
    "silero-vad==6.2.3": ["silero_vad/data/silero_vad.jit"],
    "lpips==0.1.4": [f"lpips/weights/v0.1/{name}.pth" for name in ("alex", "vgg", "squeeze")],
    "facenet-pytorch==2.6.0": [
        f"facenet_pytorch/data/{name}.pt" for name in ("pnet", "rnet", "onet")
    ],
    "resemblyzer==0.1.4": ["resemblyzer/pretrained.pt"],
}
COUNTS = {"silero_vad": 30, "alex": 5, "vgg": 5, "squeeze": 7, "pnet": 13, "rnet": 16, "onet": 21}
FILES = [(package, inner) for package, inners in PACKAGES.items() for inner in inners]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files under their inner paths."""
    return unpack(tmp_path_factory.mktemp("real"), PACKAGES, [inner for _, inner in FILES])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("package", "inner"), FILES, ids=[Path(inner).name for _, inner in FILES])
def test_every_tensor_is_what_torch_loads(package: str, inner: str, folder: Path) -> None:
    expected: dict[str, Any]
    if inner.endswith(".jit"):
        jit: Any = torch.jit
        expected = jit.load(folder / inner).state_dict()
    else:
        expected = torch.load(folder / inner, map_location="cpu", weights_only=True)
    nested = "model_state" in expected
    expected = expected["model_state"] if nested else expected
    with read_state_dict(folder / inner) as found:
        assert list(found) == list(expected)
        assert len(found) == COUNTS.get(Path(inner).stem, 16)
        assert ("model_state" in found.origin) is nested
        for key, tensor in expected.items():
            assert found[key].torch().dtype == tensor.dtype
            np.testing.assert_array_equal(found[key].numpy(), tensor.detach().numpy())
        write_state_dict(found, folder / "again.pt")
    again = torch.load(folder / "again.pt", weights_only=True)
    assert all(torch.equal(again[key], tensor) for key, tensor in expected.items())


def test_what_is_not_the_model_is_reached_by_its_root(folder: Path) -> None:
    path = folder / "resemblyzer/pretrained.pt"
    expected = torch.load(path, map_location="cpu", weights_only=True)["optimizer_state"]["state"]
    with read_state_dict(path, root="optimizer_state.state") as found:
        for address, moments in expected.items():
            for name, value in moments.items():
                if isinstance(value, torch.Tensor):
                    assert torch.equal(found[f"{address}.{name}"].torch(), value)
