from __future__ import annotations

import pytest
import torch

from caten_sd import nn

from .agreement import assert_equal_to_torch

PAIRS = [
    (nn.Softmax(), torch.nn.Softmax(-1)),
    (nn.Softmax(0), torch.nn.Softmax(0)),
    (nn.LogSoftmax(), torch.nn.LogSoftmax(-1)),
    (nn.LogSoftmax(0), torch.nn.LogSoftmax(0)),
    (nn.Softmin(), torch.nn.Softmin(-1)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=repr)
def test_agrees_with_torch(ours, theirs) -> None:
    assert_equal_to_torch(ours, theirs)
