from __future__ import annotations

import pytest
import torch

from caten_sd import nn
from caten_sd.errors import ModelError

from .agreement import assert_equal_to_torch

PAIRS = [
    (nn.GELU(), torch.nn.GELU(approximate="tanh")),
    (nn.GELU("none"), torch.nn.GELU()),
    (nn.SiLU(), torch.nn.SiLU()),
    (nn.Mish(), torch.nn.Mish()),
    (nn.HardSwish(), torch.nn.Hardswish()),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=repr)
def test_agrees_with_torch(ours, theirs) -> None:
    assert_equal_to_torch(ours, theirs)


def test_gelu_by_sigmoid_is_close_to_the_exact_one() -> None:
    x = torch.linspace(-4, 4, 99)
    assert 1e-3 < (nn.GELU("sigmoid")(x) - nn.GELU("none")(x)).abs().max() < 0.03


def test_an_unknown_form_of_gelu_is_refused() -> None:
    with pytest.raises(ModelError, match=r"approx.*'none'.*'erf'"):
        nn.GELU("erf")
