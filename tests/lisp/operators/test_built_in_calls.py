from __future__ import annotations

import pytest
import torch

from caten_sd import nn
from caten_sd.errors import ModelError
from caten_sd.lisp.operators.built_in_calls import call_built_in

MASK = torch.full((1, 1, 4, 4), -torch.inf).triu(1)


def test_an_embedding_takes_whole_floats() -> None:
    model = nn.Embedding(5, 2)
    assert torch.equal(call_built_in(model, torch.tensor([1.0, 4.0])), model.weight[[1, 4]])
    with pytest.raises(ModelError, match="not whole"):
        call_built_in(model, torch.tensor([1.5]))


@pytest.mark.parametrize("model", [nn.Attention(8, 2), nn.TransformerBlock(8, 2)], ids=type)
def test_attention_takes_a_causal_mask_and_a_start(model) -> None:
    x = torch.randn(2, 4, 8)
    torch.testing.assert_close(call_built_in(model, x, MASK), model(x))
    torch.testing.assert_close(call_built_in(model, x, MASK, torch.tensor(0)), model(x))
    last = torch.full((1, 1, 1, 5), -torch.inf).triu(5)
    assert call_built_in(model, x[:, :1], last, 4).shape == (2, 1, 8)
    for mask in (None, torch.zeros(4, 4), MASK[..., :3], MASK.expand(2, 1, 4, 4)):
        with pytest.raises(ModelError, match="causal mask"):
            call_built_in(model, x, mask)


def test_a_transformer_gives_the_most_likely_token() -> None:
    model, tokens = nn.Transformer(8, 2, 1, 1e-5, 5), torch.tensor([[1, 2], [3, 4]])
    found = call_built_in(model, tokens.float(), 0)
    assert torch.equal(found[:, 0, 0], model(tokens)[:, -1].argmax(-1))


def test_other_models_and_functions_are_called_as_they_are() -> None:
    linear = torch.nn.Linear(2, 2)
    x = torch.ones(1, 2)
    assert torch.equal(call_built_in(linear, x), linear(x))
    assert call_built_in(nn.ReLU(), -3).item() == 0
    assert call_built_in(lambda a, b: a - b, 5, 3) == 2
    with pytest.raises(ModelError, match="nil is not a model"):
        call_built_in(None, x)
