"""The models against the numbers of the real Caten."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from caten_sd import nn

from ..caten_numbers import assert_as_in_caten, inputs_of, with_weights

MODELS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(3, 2),
    "LayerNorm4": lambda: nn.LayerNorm(4),
    "LayerNorm34": lambda: nn.LayerNorm((3, 4), last_axis_only=True),
    "RMSNorm34": lambda: nn.RMSNorm((3, 4), last_axis_only=True),
    "ConvND": lambda: nn.ConvND(3, 4, (3, 3)),
    "ConvND stride pad": lambda: nn.ConvND(3, 4, (3, 3), stride=(2, 2), padding=(1, 1)),
    "ConvND dilation": lambda: nn.ConvND(3, 4, (3, 3), dilation=(2, 2)),
    "ConvND1": lambda: nn.ConvND(1, 1, (3, 3)),
    "ConvND1o": lambda: nn.ConvND(1, 2, (3, 3)),
    "act !SIGMOID": nn.Sigmoid,
    "act !HARD-SIGMOID": nn.HardSigmoid,
    "act !RELU": nn.ReLU,
    "act !LOG-SOFTMAX": nn.LogSoftmax,
    "act !ELU": nn.ELU,
    "act !RELU6": nn.ReLU6,
    "act !SOFTMAX": nn.Softmax,
    "act !SOFTPLUS": nn.Softplus,
    "act !SOFTSIGN": nn.Softsign,
    "act !SOFTSHRINK": nn.SoftShrink,
    "act !GELU": nn.GELU,
    "act !CELU": nn.CELU,
    "act !LOGSIGMOID": nn.LogSigmoid,
    "act !SILU": nn.SiLU,
    "act !HARDTANH": nn.HardTanh,
    "act !TANH": nn.Tanh,
    "act gelu sigmoid": lambda: nn.GELU("sigmoid"),
    "softmax axis 0": lambda: nn.Softmax(0),
    "MaxPool": lambda: nn.MaxPool((2, 2)),
    "FeedForward": lambda: nn.FeedForward(8, 12),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_what_caten_computes(name: str) -> None:
    model = with_weights(name, MODELS[name]())
    assert_as_in_caten(name, model(*inputs_of(name)))


def test_an_embedding_is_looked_up_by_integers() -> None:
    model = with_weights("Embedding", nn.Embedding(6, 3))
    assert_as_in_caten("Embedding", model(inputs_of("Embedding")[0].long()))


def test_attention_is_causal_without_being_given_the_mask() -> None:
    x, mask = inputs_of("Attention")
    assert torch.equal(mask[0, 0], torch.full((5, 5), -torch.inf).triu(1))
    assert_as_in_caten("Attention", with_weights("Attention", nn.Attention(8, 2, 16))(x))


@pytest.mark.parametrize(
    ("name", "layers"), [("Transformer logits, 2 layers", 2), ("Transformer logits, 1 layer", 1)]
)
def test_the_logits_are_catens(name: str, layers: int) -> None:
    model = with_weights(name, nn.Transformer(16, 2, layers, 1e-5, 11, max_seq_len=8))
    assert_as_in_caten(name, model(inputs_of(name)[0].long()))


def test_the_most_likely_token_is_catens() -> None:
    name = "Transformer argmax"
    model = with_weights(name, nn.Transformer(16, 2, 2, 1e-5, 11, max_seq_len=8))
    last = model(inputs_of(name)[0].long())[:, -1:]
    assert_as_in_caten(name, last.argmax(-1, keepdim=True))
