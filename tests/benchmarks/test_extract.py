"""Taking the state of a live model, beside ``module.state_dict()`` of the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from caten_sd import get_state_dict

from .conftest import Race

MANY = 20  # calls to one measurement of what takes a fifth of a millisecond


def gpt2() -> nn.Module:
    """Return GPT-2 in its full depth, 149 tensors, and of little width."""
    config = GPT2Config(n_embd=24, n_positions=8, vocab_size=50, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config)


def repeat(call: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(MANY):
            call()

    return run


def test_a_model_of_149_tensors(race: Race) -> None:
    model = gpt2()
    assert len(model.state_dict()) == 149
    ours, peer = repeat(lambda: get_state_dict(model)), repeat(model.state_dict)
    race("get_state_dict, GPT-2 of 149 tensors / state_dict()", ours, peer, 1.0, pairs=21)


def test_a_model_of_40_000_tensors(race: Race) -> None:
    model = nn.ModuleList(nn.Linear(1, 1) for _ in range(20_000))
    race(
        "get_state_dict, 20,000 Linear / state_dict()",
        lambda: get_state_dict(model),
        model.state_dict,
        1.0,
    )


@pytest.mark.slow
def test_a_model_of_1_000_000_tensors(race: Race) -> None:
    tensors = [torch.zeros(1) for _ in range(1000)]
    model = nn.ModuleList(nn.ParameterList(tensors) for _ in range(1000))
    race(
        "get_state_dict, 1,000,000 parameters / state_dict()",
        lambda: get_state_dict(model),
        model.state_dict,
        1.0,
        pairs=3,
    )


@pytest.mark.slow
def test_growth_from_10_000_to_1_000_000_arrays_is_linear(race: Race) -> None:
    def model(parts: int) -> Any:
        return {part: [np.zeros(1) for _ in range(1000)] for part in range(parts)}

    few, many = model(10), model(1000)

    def hundred_of_few() -> None:
        for _ in range(100):
            get_state_dict(few)

    race(
        "get_state_dict, 1,000,000 arrays / 100 times 10,000",
        lambda: get_state_dict(many),
        hundred_of_few,
        1.3,
        pairs=3,
    )
