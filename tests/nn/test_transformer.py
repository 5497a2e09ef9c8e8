from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd.errors import ModelError
from caten_sd.loading.load import load_state_dict
from caten_sd.nn import FeedForward, Transformer, TransformerBlock
from caten_sd.objects.extract import get_state_dict

SIZES = (32, 2, 2, 1e-5, 32)
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def from_hugging_face(model: GPT2LMHeadModel) -> dict[str, torch.Tensor]:
    state = {}
    for key, leaf in model.state_dict().items():
        name = key.removeprefix("transformer.")
        if "ln_" in name:
            name = name.replace(".weight", ".affine")
        state[name] = leaf.t() if name.endswith(CONV1D) else leaf
    return state


@pytest.fixture
def model() -> Transformer:
    return Transformer(*SIZES, max_seq_len=16)


def test_its_keys_and_shapes_are_catens(keys_of) -> None:
    state = get_state_dict(Transformer(*SIZES))
    block = [
        *("attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias"),
        *("mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"),
        *("ln_1.affine", "ln_1.bias", "ln_2.affine", "ln_2.bias"),
    ]
    blocks = [f"h.{n}.{key}" for n in range(2) for key in block]
    ends = ["ln_f.affine", "ln_f.bias", "lm_head.weight"]
    assert list(state) == ["wte.weight", "wpe.weight", *blocks, *ends]
    assert state["wpe.weight"].shape == (1024, 32)
    assert state["h.1.attn.c_attn.weight"].shape == (96, 32)
    assert state["h.1.mlp.c_proj.weight"].shape == (32, 128)
    assert not state.ties


def test_a_model_of_no_layers_is_one(keys_of) -> None:
    model = Transformer(32, 2, 0, 1e-5, 32)
    ends = ["wte.weight", "wpe.weight", "ln_f.affine", "ln_f.bias", "lm_head.weight"]
    assert keys_of(model) == ends
    assert model(torch.tensor([[1, 2]])).shape == (1, 2, 32)


def test_it_computes_what_hugging_faces_gpt2_computes() -> None:
    config = GPT2Config(
        n_embd=24, n_layer=3, n_head=4, vocab_size=50, n_positions=20, layer_norm_epsilon=1e-4
    )
    theirs = GPT2LMHeadModel(config).eval()
    ours = Transformer(24, 4, 3, 1e-4, 50, max_seq_len=20)
    load_state_dict(ours, from_hugging_face(theirs), strict=True)
    tokens = torch.randint(0, 50, (3, 20))
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-6)


def test_its_parts_are_blocks_and_feed_forward_nets(model: Transformer) -> None:
    x = torch.randn(2, 5, 32)
    block = model.h[0]
    assert isinstance(block, TransformerBlock)
    assert isinstance(block.mlp, FeedForward)
    middle = x + block.attn(block.ln_1(x))
    torch.testing.assert_close(block(x), middle + block.mlp(block.ln_2(middle)))


def test_logits_are_float32_and_the_call_is_pure(model: Transformer) -> None:
    tokens = torch.randint(0, 32, (3, 7))
    logits = model(tokens)
    assert (logits.shape, logits.dtype) == ((3, 7, 32), torch.float32)
    assert all(block.attn.k_cache is None for block in model.h)
    torch.testing.assert_close(model(tokens), logits, rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 1, 4]], ids=str)
def test_pieces_through_the_cache_give_the_same(model, keys_of, sizes) -> None:
    tokens = torch.randint(0, 32, (2, 9))
    keys, start, outputs = keys_of(model), 0, []
    for piece in tokens.split(sizes, dim=1):
        outputs.append(model(piece, start))
        start += piece.shape[1]
    torch.testing.assert_close(torch.cat(outputs, 1), model(tokens), rtol=1e-5, atol=1e-5)
    assert keys_of(model) == keys
    assert not outputs[0].requires_grad
    model.clear_cache()
    assert all(block.attn.k_cache is None for block in model.h)


def test_every_parameter_gets_a_gradient_and_training_lowers_the_loss(model) -> None:
    tokens = torch.randint(0, 32, (4, 16))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        logits = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_the_head_is_tied_by_assignment(model: Transformer) -> None:
    model.lm_head.weight = model.wte.weight
    assert dict(get_state_dict(model).ties) == {"lm_head.weight": "wte.weight"}
    assert "lm_head.weight" not in dict(model.named_parameters())
    assert model.to("meta").lm_head.weight is model.wte.weight


@pytest.mark.parametrize(
    ("tokens", "facts"),
    [
        (torch.zeros(3, dtype=torch.int64), r"\(batch, time\)"),
        (torch.zeros(1, 3), "float32"),
        (torch.zeros(1, 0, dtype=torch.int64), r"\(1, 0\)"),
        (torch.zeros(1, 17, dtype=torch.int64), "0 to 16.*0 to 15.*fewer"),
        (torch.full((1, 2), 32), "rows 0 to 31"),
    ],
)
def test_impossible_tokens_are_refused(model, tokens, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        model(tokens)


@pytest.mark.parametrize(
    ("sizes", "facts"),
    [
        ((32, 3, 2, 1e-5, 32), "3 heads do not divide dim 32"),
        ((32, 2, -1, 1e-5, 32), "n_layers must be an integer of at least 0"),
        ((32, 2, 2, 1e-5, -1), "vocab_size must be a positive integer"),
        (("32", 2, 2, 1e-5, 32), "dim must be a positive integer, not '32'"),
    ],
)
def test_impossible_sizes_are_refused(sizes, facts) -> None:
    with pytest.raises(ModelError, match=facts):
        Transformer(*sizes)
