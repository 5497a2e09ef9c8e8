from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import Conv1d, Conv2d, Conv3d, ConvND

PAIRS = [(Conv1d, torch.nn.Conv1d), (Conv2d, torch.nn.Conv2d), (Conv3d, torch.nn.Conv3d)]
OPTIONS = [
    {},
    {"bias": False},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 2},
    {"groups": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_agrees_with_torch(agree, ours, theirs, options) -> None:
    x = torch.randn(2, 4, *[9, 8, 7][: ours.ndim])
    agree(ours(4, 6, 3, **options), theirs(4, 6, 3, **options), x)


def test_one_size_per_dimension(agree) -> None:
    options = {"stride": (1, 2), "padding": (0, 1)}
    theirs = torch.nn.Conv2d(2, 3, (1, 3), **options)
    agree(ConvND(2, 3, (1, 3), **options), theirs, torch.randn(1, 2, 5, 6))


def test_initial_weights_are_within_the_bound() -> None:
    model = Conv2d(8, 64, 3, groups=2)
    bound = (2 / (8 * 9)) ** 0.5
    assert 0.95 * bound < model.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("build", "facts"),
    [
        (lambda: Conv1d(3, 4, 3, groups=2), "2 groups.*3 channels in"),
        (lambda: Conv1d(0, 4, 3), "in_channels must be a positive integer"),
        (lambda: Conv2d(3, 4, (3, 3, 3)), r"Conv2d: kernel_size.* 2 integers.*\(3, 3, 3\)"),
        (lambda: Conv2d(3, 4, 0), "kernel_size.*at least 1.* 0$"),
        (lambda: Conv2d(3, 4, 3, padding=-1), "padding.*at least 0.* -1$"),
        (lambda: ConvND(3, 4, (1, 1, 1, 1)), r"1 to 3 integers.*\(1, 1, 1, 1\)"),
    ],
)
def test_impossible_sizes_are_refused(build, facts: str) -> None:
    with pytest.raises(ModelError, match=facts):
        build()
