"""A layout for a training state: moments go where their weights go, turned as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adafactor, AdamW
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd import (
    Layout,
    LayoutError,
    TrainingState,
    detect_layout,
    get_state_dict,
    load_state_dict,
    read_state_dict,
    to_layout,
    write_state_dict,
)
from caten_sd.layout import Row
from caten_sd.mapping.assembly import Concat
from caten_sd.mapping.operations import Offset, Transpose
from caten_sd.state.leaf import Numpy, as_array

IDS = torch.randint(0, 17, (2, 8), generator=torch.Generator().manual_seed(0))
SIZES = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 17, "n_positions": 8}
STILL = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}


def gpt2(kind: Any, **options: Any) -> TrainingState:
    torch.manual_seed(0)
    config = GPT2Config(**SIZES, **STILL, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    return TrainingState(model, kind(model.parameters(), lr=0.01, **options))


def train(training: TrainingState, steps: int) -> None:
    for _ in range(steps):
        training.optimizer.zero_grad()
        logits = training.model(IDS).logits
        nn.functional.cross_entropy(logits.flatten(0, 1), IDS.flatten()).backward()
        training.optimizer.step()
        training.step += 1


def array(leaf: Any) -> Any:
    return as_array(Numpy(), leaf)


@pytest.mark.parametrize(
    ("kind", "options"), [(AdamW, {"amsgrad": True}), (Adafactor, {}), (SGD, {"momentum": 0.9})]
)
def test_there_and_back_and_on(kind: Any, options: dict[str, Any], tmp_path: Path) -> None:
    saved, resumed = gpt2(kind, **options), gpt2(kind, **options)
    train(saved, 3)
    state = get_state_dict(saved)
    write_state_dict(to_layout(state, "caten-gpt2"), tmp_path / "run.safetensors")
    file = read_state_dict(tmp_path / "run.safetensors")
    back = to_layout(file, "hf-gpt2")
    assert set(state) - set(back) == {"model.lm_head.weight"}  # tied, and left out in this layout
    for key in back:
        assert np.array_equal(array(back[key]), array(state[key])), key
    load_state_dict(resumed, back, strict=True)
    train(saved, 2)
    train(resumed, 2)
    for one, other in zip(saved.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_square_moment_is_turned_with_its_square_weight() -> None:
    training = gpt2(AdamW)
    train(training, 1)
    state = get_state_dict(training)
    turned = to_layout(state, "caten-gpt2")
    before = state["optimizer.state.transformer.h.0.attn.c_proj.weight.exp_avg"]
    after = turned["optimizer.state.h.0.attn.c_proj.weight.exp_avg"]
    assert before.shape == after.shape == (8, 8)
    assert np.array_equal(array(after), array(before).T)
    step = turned["optimizer.state.h.0.attn.c_proj.weight.step"]
    assert array(step) == 1


def test_rows_and_columns_of_a_factored_moment_change_places() -> None:
    training = gpt2(Adafactor)
    train(training, 1)
    state = get_state_dict(training)
    turned = to_layout(state, "caten-gpt2")
    before, after = (
        "optimizer.state.transformer.h.0.mlp.c_fc.weight.",
        "optimizer.state.h.0.mlp.c_fc.weight.",
    )
    assert array(turned[f"{after}row_var"]).shape == (32, 1)
    assert np.array_equal(array(turned[f"{after}row_var"]), array(state[f"{before}col_var"]).T)
    assert np.array_equal(array(turned[f"{after}col_var"]), array(state[f"{before}row_var"]).T)


def test_the_layout_of_a_training_state_is_detected_and_stamped() -> None:
    state = get_state_dict(gpt2(AdamW))
    assert detect_layout(state).layout.name == "hf-gpt2"
    turned = to_layout(state, "caten-gpt2")
    assert detect_layout(turned).layout.name == "caten-gpt2"
    assert turned.metadata["caten_sd.layout"] == "caten-gpt2"
    assert to_layout(turned, "caten-gpt2").keys() == turned.keys()


def test_state_that_was_never_made_is_none() -> None:
    state = to_layout(get_state_dict(gpt2(AdamW)), "caten-gpt2")
    assert [key for key in state if key.startswith("optimizer")] == ["optimizer.values"]


class Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qk = nn.Parameter(torch.arange(8.0).reshape(4, 2))
        self.norm = nn.Parameter(torch.ones(3))


CANONICAL = Layout(
    "parts", [Row("q", shape=("n", "m")), Row("k", shape=("n", "m")), Row("norm", shape=("p",))],
    architecture="fused",
)  # fmt: skip
FUSED = Layout(
    "fused",
    [Row(("q", "k"), "qk", Concat((1, 1))), Row("norm", operation=Offset(1.0))],
    base=CANONICAL,
)


def fused(kind: Any = AdamW) -> TrainingState:
    net = Fused()
    training = TrainingState(net, kind(net.parameters()))
    for n, param in enumerate(net.parameters()):
        param.grad = torch.arange(param.numel()).reshape(param.shape) + n + 1.0
    training.optimizer.step(lambda: torch.tensor(0.0))
    return training


def test_a_moment_is_split_and_its_step_goes_to_both() -> None:
    state = get_state_dict(fused())
    split = to_layout(state, CANONICAL, from_layout=FUSED)
    moment = array(state["optimizer.state.qk.exp_avg"])
    assert np.array_equal(array(split["optimizer.state.q.exp_avg"]), moment[:2])
    assert np.array_equal(array(split["optimizer.state.k.exp_avg"]), moment[2:])
    assert array(split["optimizer.state.q.step"]) == array(split["optimizer.state.k.step"]) == 1
    back = to_layout(split, FUSED)
    for key, leaf in state.items():
        assert np.array_equal(array(back[key]), array(leaf)), key


def test_a_number_added_to_a_weight_moves_no_moment() -> None:
    state = get_state_dict(fused())
    split = to_layout(state, CANONICAL, from_layout=FUSED)
    assert array(split["model.norm"]).tolist() == (array(state["model.norm"]) - 1).tolist()
    for slot in ("exp_avg", "exp_avg_sq"):
        key = f"optimizer.state.norm.{slot}"
        assert np.array_equal(array(split[key]), array(state[key]))


def test_a_factored_moment_cannot_be_split() -> None:
    with pytest.raises(LayoutError, match=r"row_var of qk .* root='model'"):
        to_layout(get_state_dict(fused(Adafactor)), CANONICAL, from_layout=FUSED)


def test_a_state_of_all_parameters_end_to_end_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"state of LBFGS .* end to end.* root='model'"):
        to_layout(get_state_dict(fused(torch.optim.LBFGS)), CANONICAL, from_layout=FUSED)


def test_parameters_of_two_groups_cannot_become_one() -> None:
    torch.manual_seed(0)
    net = nn.ParameterDict(
        [("q", torch.ones(2, 2)), ("k", torch.ones(2, 2)), ("norm", torch.ones(3))]
    )
    groups = [{"params": [net["q"]]}, {"params": [net["k"], net["norm"]]}]
    state = get_state_dict(TrainingState(net, SGD(groups)))
    with pytest.raises(LayoutError, match=r"q and k become qk.* one group .* root='model'"):
        to_layout(state, FUSED, from_layout=CANONICAL)


def test_a_transpose_of_one_tensor_is_its_own() -> None:
    plain = Layout("plain", [Row("w", shape=("a", "b"))], architecture="one")
    turned = Layout("turned", [Row("w", operation=Transpose())], base=plain)
    net = nn.ParameterDict({"w": torch.ones(2, 3)})
    state = get_state_dict(TrainingState(net, SGD(net.parameters())))
    assert array(to_layout(state, turned, from_layout=plain)["model.w"]).shape == (3, 2)
