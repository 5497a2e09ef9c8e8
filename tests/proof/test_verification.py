"""verify: the first layer where two models part, and what it shows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from caten_sd import (
    Layout,
    get_state_dict,
    load_state_dict,
    nn,
    read_lisp,
    to_layout,
    verify,
)
from caten_sd.errors import ModelError, StateDictError
from caten_sd.layout import Concat, Row
from caten_sd.proof.made_inputs import tokens
from tests.lisp.gpt_text import GPT

SIZES = (16, 2, 2, 1e-5, 11)
NAMES = ("weight", "bias")


class Attention(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads, self.scale = 2, 0.5
        self.q, self.k, self.v, self.o = (torch.nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            each(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.q, self.k, self.v)
        )
        weights = (self.scale * q @ k.mT).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class Gated(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = torch.nn.Linear(8, 12), torch.nn.Linear(8, 12)
        self.act, self.down = torch.nn.GELU(), torch.nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.act(self.gate(x)) * self.up(x))


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.scale = torch.nn.Embedding(11, 8), 1.0
        self.norm, self.attn = torch.nn.LayerNorm(8), Attention()
        self.drop, self.mlp = torch.nn.Dropout(0.5), Gated()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids) * self.scale
        x = x + self.drop(self.attn(self.norm(x)))
        return x + self.mlp(x)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def swapped(net: Net) -> None:
    net.mlp.gate, net.mlp.up = net.mlp.up, net.mlp.gate


def transposed(net: Net) -> None:
    net.attn.o.weight.data = net.attn.o.weight.data.T.contiguous()


def trained(net: Net) -> None:
    net.mlp.down.weight.data[0, 0] += 0.1


def set_to(name: str, value: Any) -> Callable[[Net], None]:
    def change(net: Net) -> None:
        owner, _, attribute = name.rpartition(".")
        setattr(net.get_submodule(owner), attribute, value)

    return change


@pytest.mark.parametrize(
    ("change", "layer", "words"),
    [
        (set_to("attn.heads", 4), "attn.o", ["heads is 2 in A and 4 in B", "between"]),
        (set_to("attn.scale", 1.0), "attn.o", ["scale is 0.5 in A and 1.0 in B", "between"]),
        (set_to("scale", 2.0), "norm", ["the output of embed", "scale is 1.0 in A and 2.0 in B"]),
        (set_to("norm.eps", 2e-5), "norm", ["eps is 1e-05 in A and 2e-05 in B"]),
        (set_to("mlp.act.approximate", "tanh"), "mlp.act", ["approximate is 'none' in A"]),
        (set_to("mlp.act", torch.nn.SiLU()), "mlp.act", ["a GELU in A and a SiLU in B"]),
        (swapped, "mlp.gate", ["mlp.gate.weight: in B it has the values of mlp.up.weight in A"]),
        (transposed, "attn.o", ["attn.o.weight: transposed in B"]),
        (trained, "mlp.down", ["mlp.down.weight: its values differ by up to 0.1"]),
    ],
)
def test_the_first_layer_that_differs_and_why(
    net: Net, change: Callable[[Net], None], layer: str, words: list[str]
) -> None:
    other = copy.deepcopy(net)
    change(other)
    for one, two in ((net, other), (other, net)):
        found = verify(one, two)
        assert not found.agrees
        assert found.layer == layer
    text = str(verify(net, other))
    assert all(word in text for word in words), text
    assert len(text.splitlines()) <= 20


def test_equal_models_agree_and_stay_as_they_were(net: Net) -> None:
    net.norm.eval()
    found = verify(net, copy.deepcopy(net))
    assert found.agrees
    assert found.compared[-1].relative == 0
    assert "seed 0" in str(found)
    assert net.training
    assert not net.norm.training
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in net.modules())


def test_lower_precision_is_rounding(net: Net) -> None:
    half = copy.deepcopy(net).bfloat16()
    assert verify(net.bfloat16(), half).agrees
    assert verify(copy.deepcopy(half).float(), half).agrees


def test_a_tolerance_is_the_callers(net: Net) -> None:
    other = copy.deepcopy(net)
    other.norm.eps = 2e-5
    assert verify(net, other, tolerance=1e-2).agrees


def test_models_of_this_library_and_of_lisp_are_read_in_every_layer() -> None:
    torch.manual_seed(0)
    ours = nn.Transformer(*SIZES, max_seq_len=8)
    lisp = read_lisp(GPT).model("Scorer")(*SIZES, max_seq_len=8)
    load_state_dict(lisp, get_state_dict(ours), strict=True)
    ids = np.array([[1, 2, 3]])
    found = verify(ours, lisp, [ids, np.array(0)])
    assert found.agrees
    assert {each.a for each in found.compared} >= {"h.0.attn", "h.1.mlp.c_fc", "lm_head", "ln_f"}
    ours.h[1].ln_2.eps = 1e-3
    assert verify(ours, lisp, [ids, np.array(0)]).layer == "h.1.ln_2"


class Renamed(torch.nn.Module):
    """A Gated under other names, whose first two layers are one."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.last = torch.nn.Linear(8, 24), torch.nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.both(x).chunk(2, -1)
        return self.last(functional.gelu(gate) * up)


def test_a_layout_pairs_layers_of_other_names() -> None:
    a, b = Gated(), Renamed()
    rows = [
        *(Row((f"gate.{n}", f"up.{n}"), f"both.{n}", Concat((12, 12))) for n in NAMES),
        *(Row(f"down.{n}", f"last.{n}") for n in NAMES),
    ]
    layout = Layout("mine", rows)
    load_state_dict(b, to_layout(get_state_dict(a), layout, from_layout=layout.canonical))
    found = verify(a, b, layout=layout)
    assert found.agrees
    assert {(each.a, each.b) for each in found.compared} == {("", ""), ("down", "last")}
    b.last.bias.data += 1
    assert verify(a, b, layout=layout).layer == "down"


def test_outputs_of_other_sizes_part() -> None:
    found = verify(torch.nn.Linear(3, 3), torch.nn.Linear(3, 4))
    assert found.layer == ""
    assert "weight: of shape [3, 3] in A and [4, 3] in B" in str(found)


def test_nan_in_a_weight_is_named(net: Net) -> None:
    other = copy.deepcopy(net)
    other.mlp.down.bias.data[0] = torch.nan
    assert "mlp.down.bias: 1 value NaN or infinite in A or in B" in str(verify(net, other))


def test_inputs_are_given_by_name_by_position_or_made(net: Net) -> None:
    for inputs in ({"ids": np.array([[1, 2]])}, [np.array([[1]])], np.array([[1]]), tokens([1])):
        assert verify(net, net, inputs).agrees
    convolution = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
    assert "[1, 3, 32, 32]" in str(verify(convolution, convolution))


def test_what_cannot_be_verified_is_one_sentence(net: Net) -> None:
    with pytest.raises(StateDictError, match=r"B, GELU, has no state"):
        verify(net, torch.nn.GELU())
    with pytest.raises(StateDictError, match=r"caten-sd suggest A B -o mine\.toml"):
        verify(net, Renamed())
    with pytest.raises(ModelError, match=r"A, Net, fails on the inputs .*inputs="):
        verify(net, net, np.array([[99]]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "layer", "word"),
    [
        (
            {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16},
            "model.layers.0.self_attn.o_proj",
            "head_dim",
        ),
        ({"rms_norm_eps": 1e-5}, "model.layers.0.input_layernorm", "variance_epsilon"),
        ({"hidden_act": "gelu"}, "model.layers.0.mlp.act_fn", "SiLUActivation"),
    ],
)
def test_llamas_of_transformers(changes: dict[str, Any], layer: str, word: str) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    a = LlamaForCausalLM(LlamaConfig(**sizes))
    b = LlamaForCausalLM(LlamaConfig(**{**sizes, "head_dim": 8, **changes}))
    load_state_dict(b, get_state_dict(a))
    found = verify(a, b)
    assert found.layer == layer
    assert word in str(found)


@pytest.mark.slow
def test_gpt2_of_transformers_and_of_this_library() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=16, n_head=2, n_layer=2, vocab_size=11, n_positions=8)
    theirs, ours = GPT2LMHeadModel(config), nn.Transformer(*SIZES, max_seq_len=8)
    load_state_dict(ours, to_layout(get_state_dict(theirs), "caten-gpt2", silent=True))
    assert verify(theirs, ours).agrees
    assert verify(ours, theirs).agrees
    ours.h[0].attn.c_proj.bias.data += 0.01
    assert verify(theirs, ours).layer == "transformer.h.0.attn.c_proj"
