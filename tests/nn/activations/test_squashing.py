from __future__ import annotations

import pytest
import torch

from caten_sd import nn

from .agreement import assert_equal_to_torch

PAIRS = [
    (nn.Sigmoid(), torch.nn.Sigmoid()),
    (nn.HardSigmoid(1 / 6), torch.nn.Hardsigmoid()),
    (nn.LogSigmoid(), torch.nn.LogSigmoid()),
    (nn.Tanh(), torch.nn.Tanh()),
    (nn.HardTanh(), torch.nn.Hardtanh()),
    (nn.HardTanh(-0.3, 2.0), torch.nn.Hardtanh(-0.3, 2.0)),
    (nn.Softsign(), torch.nn.Softsign()),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=repr)
def test_agrees_with_torch(ours, theirs) -> None:
    assert_equal_to_torch(ours, theirs)


def test_the_default_of_hard_sigmoid_is_catens() -> None:
    assert nn.HardSigmoid()(torch.tensor(1.0)).item() == pytest.approx(0.7)
