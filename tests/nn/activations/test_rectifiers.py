from __future__ import annotations

import pytest
import torch

from caten_sd import nn

from .agreement import assert_equal_to_torch

PAIRS = [
    (nn.ReLU(), torch.nn.ReLU()),
    (nn.LeakyReLU(), torch.nn.LeakyReLU(1e-3)),
    (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
    (nn.ReLU6(), torch.nn.ReLU6()),
    (nn.ELU(), torch.nn.ELU()),
    (nn.ELU(0.3), torch.nn.ELU(0.3)),
    (nn.CELU(), torch.nn.CELU()),
    (nn.CELU(0.3), torch.nn.CELU(0.3)),
    (nn.SELU(), torch.nn.SELU()),
    (nn.Softplus(), torch.nn.Softplus()),
    (nn.Softplus(2.0), torch.nn.Softplus(2.0)),
    (nn.SoftShrink(), torch.nn.Softshrink()),
    (nn.SoftShrink(0.1), torch.nn.Softshrink(0.1)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=repr)
def test_agrees_with_torch(ours, theirs) -> None:
    assert_equal_to_torch(ours, theirs)
