"""nanoGPT's layouts: its forward pass, written anew here, gives the logits of transformers.

The pass follows the equations of nanoGPT's model.py: linear layers of weights (out, in), the exact
GELU, norms and linear layers that may have no bias, and a vocabulary that may be padded.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd import convert, load, read_state_dict
from caten_sd.cli import main
from caten_sd.errors import LayoutError
from caten_sd.layouts import gpt2
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.state_dict import STAMP, StateDict
from tests.cli.running import run

HEADS, LAYERS, WIDTH, IDS = 2, 3, 8, torch.tensor([[5, 7, 3, 1, 12], [0, 2, 4, 6, 8]])


def logits(state: Mapping[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of nanoGPT for the tensors of its checkpoint."""

    def layer(x: torch.Tensor, name: str) -> torch.Tensor:
        return linear(x, state[f"transformer.{name}.weight"], state.get(f"transformer.{name}.bias"))

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = (state.get(f"transformer.{name}.{each}") for each in ("weight", "bias"))
        return layer_norm(x, [WIDTH], weight, bias, 1e-5)

    x = state["transformer.wte.weight"][ids] + state["transformer.wpe.weight"][: ids.shape[1]]
    for i in range(LAYERS):
        joined = layer(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn")
        split = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in joined.split(WIDTH, -1)
        )
        mixed = scaled_dot_product_attention(*split, is_causal=True).transpose(1, 2).flatten(-2)
        x = x + layer(mixed, f"h.{i}.attn.c_proj")
        x = x + layer(gelu(layer(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")), f"h.{i}.mlp.c_proj")
    return linear(norm(x, "ln_f"), state["lm_head.weight"])


def tensors(state: StateDict) -> dict[str, torch.Tensor]:
    return {key: as_array(Torch(), leaf).clone() for key, leaf in state.items()}


def random_model(biases: bool) -> Any:
    torch.manual_seed(0)
    sizes = {"n_embd": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "vocab_size": 13}
    model: Any = GPT2LMHeadModel(
        GPT2Config(**sizes, n_positions=7, bos_token_id=0, eos_token_id=0,
                   activation_function="gelu")
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(std=0.5 if biases or not name.endswith(".bias") else 0.0)
    return model


@pytest.mark.parametrize(
    ("layout", "biases"),
    [
        (gpt2.NANOGPT, True),
        (gpt2.NANOGPT_PADDED, True),
        (gpt2.NANOGPT_BIASLESS, False),
    ],
)
def test_the_forward_pass_of_nanogpt_gives_the_same_logits(layout: Any, biases: bool) -> None:
    model = random_model(biases)
    there = to_layout(model.state_dict(), layout, from_layout=gpt2.HF, config=model.config)
    state = tensors(there)
    state.setdefault("lm_head.weight", state["transformer.wte.weight"])  # it is tied
    rows = 64 if layout is gpt2.NANOGPT_PADDED else 13
    assert len(state["lm_head.weight"]) == len(state["transformer.wte.weight"]) == rows
    assert any(key.endswith(".bias") for key in state) is biases
    with torch.no_grad():
        expected = model(IDS).logits
        found = logits(state, IDS)
    assert torch.allclose(found[..., :13], expected, rtol=1e-5, atol=1e-5)
    back = to_layout(StateDict(state), gpt2.HF, from_layout=layout, config=model.config)
    again = random_model(not biases)
    again.load_state_dict(tensors(back), strict=False)
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, expected)


@pytest.mark.parametrize("start", ["", "_orig_mod."])
@pytest.mark.parametrize("biases", [True, False])
def test_the_file_that_its_training_writes(tmp_path: Path, biases: bool, start: str) -> None:
    """As train.py writes it: next to the model are tensors, and compile adds a name to its keys."""
    model = random_model(biases)
    layout = gpt2.NANOGPT if biases else gpt2.NANOGPT_BIASLESS
    state = tensors(to_layout(model.state_dict(), layout, from_layout=gpt2.HF))
    state.setdefault("lm_head.weight", state["transformer.wte.weight"])
    moments = {n: {"exp_avg": torch.ones(2), "step": torch.tensor(1.0)} for n in range(2)}
    optimizer = {"state": moments, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    options = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "bias": biases}
    file, out = tmp_path / "ckpt.pt", tmp_path / "gpt2.safetensors"
    torch.save(
        {
            "model": {start + key: leaf for key, leaf in state.items()},
            "optimizer": optimizer,
            "model_args": options,
            "iter_num": 5,
            "best_val_loss": torch.tensor(1.5),
            "config": {"dataset": "x"},
        },
        file,
    )
    if start:
        with pytest.raises(LayoutError, match=r'root="model\._orig_mod"'):
            convert(file, out, layout="hf-gpt2")
    convert(file, out, layout="hf-gpt2", root="model._orig_mod" if start else None)
    again = random_model(not biases)
    load(again, out, silent=True)
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, model(IDS).logits)


def test_the_line_of_a_check_is_right_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tensors(to_layout(random_model(True).state_dict(), gpt2.NANOGPT, from_layout=gpt2.HF))
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {f"_orig_mod.{k}": v for k, v in state.items()}, "step": 3}, "c.pt")
    _, out, _ = run(capsys, "check", "c.pt", "--against", "hf-gpt2")
    fix = out.partition("fix: ")[2].strip()
    program, *words = shlex.split(fix)
    assert (program, main(words)) == ("caten-sd", 0)
    assert read_state_dict("c.hf-gpt2.safetensors").metadata[STAMP] == "hf-gpt2"
