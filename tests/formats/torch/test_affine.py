from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd.files.checkpoint import read_state_dict
from caten_sd.formats.torch.affine import affine_leaf
from caten_sd.formats.torch.storage import Storage
from caten_sd.formats.torch.types import ELEMENTS
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.leaf import Opaque, spec
from caten_sd.state.pieces import pieces
from caten_sd.state.source import Source

pytestmark = pytest.mark.filterwarnings("ignore:.*quantized.*", "ignore::UserWarning")

VALUES = torch.linspace(-3, 3, 24).reshape(4, 6)
IMAGES = torch.linspace(-3, 3, 4 * 3 * 2 * 5).reshape(4, 3, 2, 5)
SCALES = torch.tensor([0.1, 0.02, 0.3, 0.04], dtype=torch.float64)
ZEROS = torch.tensor([0, 3, -2, 7])


def tensors() -> dict[str, Any]:
    per_tensor, per_channel = torch.quantize_per_tensor, torch.quantize_per_channel
    return {
        "qint8": per_tensor(VALUES, 0.037, 3, torch.qint8),
        "quint8": per_tensor(VALUES, 0.031, 128, torch.quint8),
        "qint32": per_tensor(VALUES, 1e-3, -5, torch.qint32),
        "rows": per_channel(VALUES, SCALES, ZEROS, 0, torch.qint8),
        "columns": per_channel(VALUES.T.contiguous(), SCALES, ZEROS, 1, torch.qint8),
        "transposed": per_tensor(VALUES, 0.1, 0, torch.qint8).T,
        "sliced int32": per_tensor(VALUES, 0.1, 0, torch.qint32)[1:, ::2],
        "scalar": per_tensor(torch.tensor(1.5), 0.1, 0, torch.qint32),
        "channels last": per_channel(IMAGES, SCALES, ZEROS, 0, torch.qint8).contiguous(
            memory_format=torch.channels_last
        ),
        "conv2d": torch.ao.nn.quantized.Conv2d(3, 4, 3).weight(),
    }


def test_values_are_those_of_torchs_dequantize(tmp_path: Path) -> None:
    given = tensors()
    torch.save(given, tmp_path / "q.pt")
    with read_state_dict(tmp_path / "q.pt") as found:
        assert list(found) == list(given)
        for key, tensor in given.items():
            leaf = found[key]
            assert type(leaf) is BlockTensor
            assert spec(leaf).shape == tuple(tensor.shape)
            assert spec(leaf).nbytes == tensor.int_repr().nbytes
            assert leaf.dtype.kind == "block"
            np.testing.assert_array_equal(leaf.numpy(), tensor.dequantize().numpy())
            stored = b"".join(map(bytes, pieces(leaf)))
            assert stored == tensor.int_repr().contiguous().numpy().tobytes()


@pytest.mark.parametrize("make", ["float qparams", "packed"])
def test_other_schemes_stay_opaque_with_their_parts(tmp_path: Path, make: str) -> None:
    def tensor() -> Any:
        kind = torch.quint8 if make == "float qparams" else torch.quint4x2
        zeros = torch.zeros(4)
        return torch.quantize_per_channel(VALUES, SCALES.float(), zeros, 0, kind)

    torch.save({"q": tensor(), "w": VALUES}, tmp_path / "q.pt")
    with read_state_dict(tmp_path / "q.pt") as found:
        assert list(found) == ["w"]
        assert found.others["q"].name.startswith("torch.q")
        assert found.others["q"].args[0] == tuple(tensor().shape)


STORAGE = Storage(Source("a", BytesBacking(bytes(6)), 0, 6), ELEMENTS["qint8"])
TENSOR, CHANNEL = Opaque("torch.per_tensor_affine"), Opaque("torch.per_channel_affine")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (7, "no scale and zero point"),
        ((TENSOR, 0.1), "no scale and zero point"),
        ((TENSOR, "0.1", 0), "not a number"),
        ((TENSOR, 0.1, 0.5), "not a number"),
        ((CHANNEL, [0.1] * 2, [0] * 2, 2), "no axis 2"),
        ((CHANNEL, [0.1] * 2, [0] * 2, "x"), "no axis 'x'"),
        ((CHANNEL, [0.1] * 3, [0] * 2, 0), "2 scales and 2 zero points"),
        ((CHANNEL, [0.1] * 2, ["0"] * 2, 0), "2 scales and 2 zero points"),
        ((CHANNEL, 0.1, [0] * 2, 0), "2 scales and 2 zero points"),
    ],
)
def test_wrong_parts_are_refused(params: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        affine_leaf(STORAGE, 0, (2, 3), (3, 1), params)


def test_a_list_of_scales_is_as_good(tmp_path: Path) -> None:
    params = (CHANNEL, [0.5, 0.25], [1, 2], 0)
    held = Storage(Source("a", BytesBacking(bytes(range(6))), 0, 6), ELEMENTS["qint8"])
    leaf = affine_leaf(held, 0, (2, 3), (3, 1), params)
    assert leaf.numpy().tolist() == [[-0.5, 0, 0.5], [0.25, 0.5, 0.75]]
