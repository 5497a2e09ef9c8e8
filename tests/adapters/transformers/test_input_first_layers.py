"""GPT-2 of transformers into Caten's Transformer, by the kinds of their layers alone."""

from __future__ import annotations

import pytest
import torch

from caten_sd import between, get_state_dict, to_layout, with_state
from caten_sd.nn import Transformer, call

pytestmark = pytest.mark.slow


def test_its_outputs_are_those_of_the_transformer_in_both_directions() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_embd=8, n_layer=2, n_head=2, vocab_size=11, n_positions=6, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    theirs, ours = GPT2LMHeadModel(config).eval(), Transformer(8, 2, 2, 1e-5, 11, max_seq_len=6)
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    state = to_layout(get_state_dict(theirs), between(theirs, ours))
    loaded = with_state(ours, state, strict=True)
    with torch.no_grad():
        assert torch.allclose(call(loaded, ids), theirs(ids).logits, atol=1e-5)
        ours.lm_head.weight = ours.wte.weight
        back = to_layout(get_state_dict(ours), between(ours, theirs))
        again = with_state(theirs, back, strict=True)
        assert torch.allclose(call(ours, ids), again(ids).logits, atol=1e-5)
