from __future__ import annotations

import pytest
import torch

from caten_sd import nn
from caten_sd.errors import ModelError

PAIRS = [
    (nn.ReLU(), torch.nn.ReLU()),
    (nn.LeakyReLU(), torch.nn.LeakyReLU(1e-3)),
    (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
    (nn.GELU(), torch.nn.GELU(approximate="tanh")),
    (nn.GELU("none"), torch.nn.GELU()),
    (nn.Sigmoid(), torch.nn.Sigmoid()),
    (nn.SiLU(), torch.nn.SiLU()),
    (nn.Tanh(), torch.nn.Tanh()),
    (nn.Softmax(), torch.nn.Softmax(-1)),
    (nn.Softmax(0), torch.nn.Softmax(0)),
    (nn.LogSoftmax(1), torch.nn.LogSoftmax(1)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda m: repr(m))
def test_agrees_with_torch(ours, theirs) -> None:
    x = 3 * torch.randn(4, 5)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)


def test_gelu_by_sigmoid_is_close_to_the_exact_one() -> None:
    x = torch.linspace(-4, 4, 99)
    assert 1e-3 < (nn.GELU("sigmoid")(x) - nn.GELU("none")(x)).abs().max() < 0.03


def test_an_unknown_form_of_gelu_is_refused() -> None:
    with pytest.raises(ModelError, match=r"approx.*'none'.*'erf'"):
        nn.GELU("erf")
