from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import BatchNorm, LayerNorm, RMSNorm


@pytest.mark.parametrize("dims", [6, (6,), (5, 6)])
def test_layer_norm_agrees_with_torch(agree, dims) -> None:
    agree(LayerNorm(dims, eps=1e-3), torch.nn.LayerNorm(dims, eps=1e-3), torch.randn(4, 5, 6))


def test_layer_norm_without_parameters(keys_of) -> None:
    ours = LayerNorm(6, affine=False, bias=False)
    assert keys_of(ours) == []
    expected = torch.nn.functional.layer_norm(torch.ones(2, 6).cumsum(1), (6,))
    torch.testing.assert_close(ours(torch.ones(2, 6).cumsum(1)), expected)


def test_rms_norm_agrees_with_torch(agree) -> None:
    agree(RMSNorm(6, eps=1e-3), torch.nn.RMSNorm(6, eps=1e-3), torch.randn(4, 5, 6))


def test_statistics_of_the_last_axis_only_are_catens() -> None:
    x = torch.randn(2, 3, 4)
    layer, rms = LayerNorm((3, 4), last_axis_only=True), RMSNorm((3, 4), last_axis_only=True)
    for leaf in (layer.affine, layer.bias, rms.weight):
        torch.nn.init.uniform_(leaf)
    expected = torch.nn.functional.layer_norm(x, (4,)) * layer.affine + layer.bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(rms(x), torch.nn.functional.rms_norm(x, (4,), eps=1e-5) * rms.weight)
    bare = LayerNorm((3, 4), affine=False, bias=False, last_axis_only=True)
    torch.testing.assert_close(bare(x), torch.nn.functional.layer_norm(x, (4,)))
    assert RMSNorm((3, 4), weight=False, last_axis_only=True)(x).shape == x.shape


def test_slots_are_named_as_in_caten(keys_of) -> None:
    assert keys_of(LayerNorm(3)) == ["affine", "bias"]
    assert keys_of(RMSNorm(3)) == ["weight"]
    running = ["running_mean", "running_var", "num_batches_tracked"]
    assert keys_of(BatchNorm(3)) == ["affine", "bias", *running]


@pytest.mark.parametrize(
    ("theirs", "shape"),
    [
        (torch.nn.BatchNorm1d, (8, 3)),
        (torch.nn.BatchNorm1d, (4, 3, 7)),
        (torch.nn.BatchNorm2d, (4, 3, 5, 6)),
        (torch.nn.BatchNorm3d, (2, 3, 2, 3, 4)),
    ],
)
def test_batch_norm_agrees_with_torch_in_training_and_after(agree, theirs, shape) -> None:
    ours, other = BatchNorm(3, momentum=0.3), theirs(3, momentum=0.3)
    agree(ours, other, 2 * torch.randn(shape) + 1)
    for mine, its in zip(ours.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-6)
    assert ours.num_batches_tracked == 1
    x = torch.randn(shape)
    torch.testing.assert_close(ours.eval()(x), other.eval()(x), rtol=1e-6, atol=1e-6)
    assert ours.num_batches_tracked == 1


def test_batch_norm_refuses_to_train_on_one_value() -> None:
    with pytest.raises(ModelError, match=r"\(1, 3\).*eval\(\)"):
        BatchNorm(3)(torch.randn(1, 3))


def test_empty_dims_are_refused() -> None:
    with pytest.raises(ModelError, match="dims is empty"):
        LayerNorm(())
