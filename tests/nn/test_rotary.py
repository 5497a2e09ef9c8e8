from __future__ import annotations

import pytest
import torch
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

from caten_sd.errors import ModelError
from caten_sd.nn import RoPE


def test_agrees_with_the_interleaved_form_of_gpt_j() -> None:
    x = torch.randn(2, 7, 3, 8)
    sine, cosine = create_sinusoidal_positions(7, 8)[None].chunk(2, dim=-1)
    theirs = apply_rotary_pos_emb(x, sine, cosine)
    torch.testing.assert_close(RoPE(4)(x), theirs, rtol=1e-5, atol=1e-6)


def test_it_has_no_state_and_turns_without_stretching(keys_of) -> None:
    x = torch.randn(1, 5, 2, 6)
    assert keys_of(RoPE(3, base=100)) == []
    torch.testing.assert_close(RoPE(3, base=100)(x).norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("shape", [(2, 7, 3, 6), (7, 3, 8)])
def test_another_size_of_head_is_refused(shape) -> None:
    with pytest.raises(ModelError, match=r"dim is 4.*\("):
        RoPE(4)(torch.ones(shape))


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(ModelError, match="RoPE: dim"):
        RoPE(0)
