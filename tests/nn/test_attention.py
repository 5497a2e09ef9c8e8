from __future__ import annotations

import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.nn import Attention

DIM, HEADS, TIME = 12, 3, 7


@pytest.fixture
def model() -> Attention:
    return Attention(DIM, HEADS, max_seq_len=TIME)


def test_agrees_with_torchs_multi_head_attention(model: Attention, agree) -> None:
    class Causal(torch.nn.MultiheadAttention):
        def forward(self, x):
            mask = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]

    agree(model, Causal(DIM, HEADS, batch_first=True), torch.randn(2, TIME, DIM))


def test_a_position_does_not_see_later_ones(model: Attention) -> None:
    x = torch.randn(1, TIME, DIM)
    changed = x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(model(x)[:, :4], model(changed)[:, :4], rtol=0, atol=0)
    assert not torch.allclose(model(x)[:, 4:], model(changed)[:, 4:])


@pytest.mark.parametrize("sizes", [[7], [1] * 7, [3, 4], [3, 1, 2, 1]], ids=str)
def test_pieces_through_the_cache_give_the_same(model: Attention, sizes) -> None:
    x = torch.randn(2, TIME, DIM)
    outputs, start = [], 0
    for piece in x.split(sizes, dim=1):
        outputs.append(model(piece, start))
        start += piece.shape[1]
    torch.testing.assert_close(torch.cat(outputs, 1), model(x), rtol=1e-5, atol=1e-6)


def test_only_a_start_position_fills_the_cache_which_is_not_state(model, keys_of) -> None:
    keys = keys_of(model)
    assert keys == ["c_attn.weight", "c_attn.bias", "c_proj.weight", "c_proj.bias"]
    model(torch.randn(2, 4, DIM))
    assert model.k_cache is None
    model(torch.randn(2, 4, DIM), 0)
    assert model.k_cache.shape == model.v_cache.shape == (2, HEADS, 4, DIM // HEADS)
    assert keys_of(model) == keys
    assert list(model.buffers()) == []
    model.clear_cache()
    assert model.k_cache is None


def test_going_back_drops_what_came_later(model: Attention) -> None:
    x = torch.randn(1, TIME, DIM)
    model(x, 0)
    torch.testing.assert_close(model(x[:, 3:5], 3), model(x)[:, 3:5], rtol=1e-5, atol=1e-6)
    assert model.k_cache.shape[2] == 5


@pytest.mark.parametrize(
    ("batch", "time", "start", "facts"),
    [
        (2, 1, 5, "start_pos is 5 .*4 positions.*begin at 0"),
        (2, 1, -1, "start_pos is -1"),
        (2, 4, 4, "8 positions.*max_seq_len 7"),
        (3, 1, 4, "a batch of 2, not of 3"),
    ],
)
def test_a_wrong_continuation_is_refused(model, batch, time, start, facts) -> None:
    model(torch.randn(2, 4, DIM), 0)
    with pytest.raises(ModelError, match=facts):
        model(torch.randn(batch, time, DIM), start)
    assert model.k_cache.shape[2] == 4


@pytest.mark.parametrize("sizes", [(12, 5), (0, 1), (12, -3), (12, 3, 0)])
def test_impossible_sizes_are_refused(sizes) -> None:
    with pytest.raises(ModelError, match=r"divide|positive integer"):
        Attention(*sizes)
