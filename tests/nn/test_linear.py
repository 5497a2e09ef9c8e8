from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import Linear


@pytest.mark.parametrize("bias", [True, False])
def test_agrees_with_torch(agree, bias: bool) -> None:
    agree(Linear(5, 3, bias=bias), torch.nn.Linear(5, 3, bias=bias), torch.randn(2, 4, 5))


def test_initial_weights_are_xavier_uniform_and_the_bias_is_within_its_bound() -> None:
    model = Linear(300, 200)
    bound = (6 / (300 + 200)) ** 0.5
    assert model.weight.abs().max() <= bound
    assert model.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert model.weight.mean().abs().item() < bound / 100
    assert model.bias is not None
    assert model.bias.abs().max() <= 200**-0.5
    assert model.bias.std().item() == pytest.approx((200**-0.5) / 3**0.5, rel=0.15)


@pytest.mark.parametrize("sizes", [(0, 3), (3, -1), (2.0, 3), (True, 3)])
def test_impossible_sizes_are_refused(sizes) -> None:
    with pytest.raises(ModelError, match="must be a positive integer"):
        Linear(*sizes)
