from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from caten_sd import nn
from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import MultipleValues
from caten_sd.lisp.operators.layers import ACTIVATIONS

from ...caten_numbers import assert_as_in_caten, inputs_of

X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
IN_CATEN = {"act !LEAKY-RELU", "act !SELU", "act !MISH"}  # of which no numbers were recorded


@pytest.mark.parametrize(
    "name", sorted({f"act {name}" for name in ACTIVATIONS} - IN_CATEN - {"act !ROPE"})
)
def test_activations_give_catens_numbers(run, name: str) -> None:
    if name not in ("act !HARDSWISH", "act !SOFTMIN"):
        assert_as_in_caten(name, run(name.removeprefix("act "), *inputs_of(name)))


def test_options_of_activations(run, keyword) -> None:
    found = run("!gelu", *inputs_of("act gelu sigmoid"), approx=keyword("sigmoid"))
    assert_as_in_caten("act gelu sigmoid", found)
    assert_as_in_caten("softmax axis 0", run("!softmax", *inputs_of("softmax axis 0"), axis=0))
    assert torch.equal(run("!leaky-relu", X, neg_slope=0.5), functional.leaky_relu(X, 0.5))
    limits = (keyword("min_val"), -0.1, keyword("max_val"), 0.2)  # Caten writes an underscore
    assert run("!hardtanh", X, *limits).max() == pytest.approx(0.2)
    torch.testing.assert_close(run("!selu", X), functional.selu(X))
    torch.testing.assert_close(run("!rope", X, 2), nn.RoPE(2)(X))
    with pytest.raises(ModelError, match=r"write \(!relu x\)"):
        run("!relu", X, slope=1)


def test_pools(run) -> None:
    assert_as_in_caten("MaxPool", run("!maxpool", *inputs_of("MaxPool")))
    torch.testing.assert_close(run("!avgpool", X), functional.avg_pool2d(X, 2))
    torch.testing.assert_close(
        run("!maxpool", X, kernel_size=[3, 3], stride=1, padding=1, ceiling=math.ceil),
        functional.max_pool2d(X, 3, stride=1, padding=1),
    )


def test_the_rounding_of_a_pool_may_be_a_function_of_lisp(run) -> None:
    def floor(number: float) -> MultipleValues:
        return MultipleValues((math.floor(number), 0))

    assert run("!avgpool", X, stride=[1, 1], ceiling=floor).shape == (2, 3, 3, 3)


def test_norms_take_the_last_axis_alone(run) -> None:
    weight, bias = torch.randn(4, 4), torch.randn(4, 4)
    expected = functional.layer_norm(X, (4,)) * weight + bias
    torch.testing.assert_close(run("!layer-norm", X, [4, 4], weight=weight, bias=bias), expected)
    expected = functional.rms_norm(X, (4,), eps=1e-2) * weight
    torch.testing.assert_close(run("!rms-norm", X, [4, 4], weight=weight, eps=1e-2), expected)
    with pytest.raises(ModelError, match="!batch-norm differs"):
        run("!batch-norm", X)


def test_windows(run) -> None:
    windows = run("!unfold", X, [2, 3], stride=[2, 1])
    assert windows.shape == (2, 3, 2, 2, 2, 3)
    assert torch.equal(windows[0, 0, 1, 1], X[0, 0, 2:4, 1:4])
    assert torch.equal(run("!unfold", X, [2, 2], dilation=2)[0, 0, 1, 1], X[0, 0, 1::2, 1::2])


def test_losses_keep_their_axes(run, keyword) -> None:
    a, b = X[0, 0].softmax(-1), X[0, 1].softmax(-1)
    torch.testing.assert_close(run("!mse", a, b), functional.mse_loss(a, b).reshape(1, 1))
    total = run("!l1norm", a, b, reduction=keyword("sum"))
    torch.testing.assert_close(total, functional.l1_loss(a, b, reduction="sum").reshape(1, 1))
    expected = -(b * (a + 1e-5).log()).mean().reshape(1, 1)
    torch.testing.assert_close(run("!cross-entropy", a, b), expected)
    with pytest.raises(ModelError, match=":max is not a reduction"):
        run("!mse", a, b, reduction=keyword("max"))
