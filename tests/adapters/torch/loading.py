"""Shared by the tests of loading into torch: models, and a comparison with torch's load."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from caten_sd.errors import CatenError
from caten_sd.loading.load import load_state_dict


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = self.a
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight = self.a.weight


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(3))
        self.register_buffer("made", torch.ones(3), persistent=False)
        self.register_buffer("none", None)
        self.register_parameter("absent", None)
        self.scale = nn.Parameter(torch.tensor(2.0))


class Extra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.table = {"a": 1}

    def get_extra_state(self) -> dict[str, int]:
        return self.table

    def set_extra_state(self, state: dict[str, int]) -> None:
        if not isinstance(state, dict):
            raise TypeError("the extra state is a table")
        self.table = state


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)),
    "conv": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1)),
    "norms": lambda: nn.ModuleList(
        [nn.BatchNorm1d(2, affine=False), nn.InstanceNorm1d(2, track_running_stats=True),
         nn.GroupNorm(1, 2), nn.BatchNorm1d(2, track_running_stats=False)]
    ),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "recurrent": lambda: nn.LSTM(3, 4, 2, bidirectional=True),
    "shared": Shared,
    "buffers": Buffers,
    "extra": Extra,
    "named": lambda: nn.ModuleDict({"keys-of": nn.Linear(2, 2), "forward-of": nn.Linear(2, 2)}),
    "lists": lambda: nn.ModuleList([nn.ParameterList([torch.ones(2), torch.ones(3)])]),
    "empty": lambda: nn.Sequential(nn.ReLU()),
    "parametrized": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
    "spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)),
    "half": lambda: nn.Linear(3, 2).half(),
}  # fmt: skip


def filled(model: nn.Module, number: float) -> nn.Module:
    with torch.no_grad():
        for leaf in model.state_dict(keep_vars=True).values():
            if isinstance(leaf, torch.Tensor):
                leaf.copy_(torch.arange(leaf.numel()).reshape(leaf.shape) + number)
    return model


def alike(one: nn.Module, other: nn.Module) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for key, leaf in mine.items():
        if isinstance(leaf, torch.Tensor):
            assert leaf.dtype is theirs[key].dtype, key
            assert torch.equal(leaf, theirs[key]), key
        else:
            assert leaf == theirs[key], key
    flags = [{n: p.requires_grad for n, p in m.named_parameters()} for m in (one, other)]
    assert flags[0] == flags[1]


def both(
    make: Callable[[], nn.Module], file: dict[str, object], assign: bool
) -> tuple[nn.Module, nn.Module, Exception | None]:
    """Load strictly by torch and by us; return both models and torch's refusal."""
    theirs, ours = filled(make(), 1), filled(make(), 1)
    before = copy.deepcopy(ours)
    refusal: Exception | None = None
    try:
        theirs.load_state_dict(file, strict=True, assign=assign)
    except RuntimeError as error:
        refusal = error
    if refusal is None:
        load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, theirs)
    else:
        with pytest.raises(CatenError):
            load_state_dict(ours, file, strict=True, assign=assign)
        alike(ours, before)
    return ours, theirs, refusal
