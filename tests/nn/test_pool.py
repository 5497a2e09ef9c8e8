from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import ModelError
from caten_sd.nn import AvgPool, MaxPool

LARGEST = (torch.nn.MaxPool1d, torch.nn.MaxPool2d, torch.nn.MaxPool3d)
MEAN = (torch.nn.AvgPool1d, torch.nn.AvgPool2d, torch.nn.AvgPool3d)
OPTIONS = [{}, {"stride": 1}, {"stride": 3, "padding": 1}]


def both(ours, theirs, *shape: int) -> None:
    x = torch.randn(shape, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)
    ours_grad = torch.autograd.grad(ours(x).square().sum(), x)[0]
    torch.testing.assert_close(ours_grad, torch.autograd.grad(theirs(x).square().sum(), x)[0])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_agrees_with_torch(ndim: int, options) -> None:
    kernel, sizes = (2, 3, 2)[:ndim], (7, 8, 6)[:ndim]
    both(MaxPool(kernel, **options), LARGEST[ndim - 1](kernel, **options), 2, 3, *sizes)
    both(AvgPool(kernel, **options), MEAN[ndim - 1](kernel, **options), 2, 3, *sizes)


def test_one_integer_is_a_square() -> None:
    both(MaxPool(3, dilation=2), torch.nn.MaxPool2d(3, dilation=2, stride=3), 1, 2, 9, 9)


def test_any_axes_may_precede_the_windows() -> None:
    x = torch.randn(2, 3, 2, 4, 4)
    assert MaxPool(2)(x).shape == (2, 3, 2, 2, 2)
    assert MaxPool(2)(x[0, 0, 0]).shape == (2, 2)
    assert AvgPool((4,))(x[0, 0, 0, 0]).tolist() == pytest.approx([x[0, 0, 0, 0].mean().item()])


@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    padding=st.integers(0, 3),
    rounding=st.sampled_from([math.ceil, math.floor]),
)
def test_each_window_is_reduced(size, kernel, stride, dilation, padding, rounding) -> None:
    x = torch.arange(1.0, size + 1)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "ceiling": rounding}
    models = [MaxPool((kernel,), **options), AvgPool((kernel,), **options)]
    number = rounding((size + 2 * padding - dilation * (kernel - 1)) / stride)
    if number < 1:
        for model in models:
            with pytest.raises(ModelError, match="no window"):
                model(x)
        return
    places = [
        [start * stride + step * dilation - padding for step in range(kernel)]
        for start in range(number)
    ]
    inside = [[x[each].item() for each in window if 0 <= each < size] for window in places]
    largest = [max(window, default=-math.inf) for window in inside]
    assert models[0](x).tolist() == largest
    means = [sum(window) / kernel for window in inside]
    assert models[1](x).tolist() == pytest.approx(means, rel=1e-6)


@pytest.mark.parametrize(
    ("build", "facts"),
    [
        (lambda: MaxPool((2, 2, 2, 2)), "MaxPool: kernel_size.*1 to 3 integers"),
        (lambda: AvgPool(2, stride=(1, 1, 1)), "AvgPool: stride.*2 integers"),
        (lambda: AvgPool(2, stride=0), "AvgPool: stride.*at least 1"),
        (lambda: MaxPool(2, padding=-1), "MaxPool: padding.*at least 0"),
        (lambda: MaxPool(2)(torch.ones(3)), r"no window of size \(2, 2\).*\(3,\)"),
    ],
)
def test_impossible_sizes_are_refused(build, facts: str) -> None:
    with pytest.raises(ModelError, match=facts):
        build()
