"""Slots that are left out of a state unless their kind is included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd import get_state_dict, load, load_state_dict, save, snapshot
from caten_sd.errors import StateDictError
from caten_sd.objects.slots import OPTIONAL, buffer, slot_metadata, transient


@attrs.define
class Inner:
    w: Any


@attrs.define
class Attention:
    weight: Any
    mask: Any = buffer(persistent=False)
    cache: Any = transient()
    rng: Any = attrs.field(metadata=slot_metadata(kind="random"))
    trace: Any = attrs.field(metadata=slot_metadata(kind="intermediate"))


def attention(value: int) -> Attention:
    made = (np.full(2, value) for _ in range(5))
    return Attention(next(made), next(made), [Inner(next(made))], next(made), {"x": next(made)})


class Rotary(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.register_buffer("angles", torch.full((2,), value), persistent=False)
        self.register_buffer("nothing", None, persistent=False)


class Saving(Rotary):
    """A module with an override, so that torch makes its state dict."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return super().state_dict(*args, **kwargs)


KEYS = {
    "computed": "mask", "cache": "cache.0.w", "random": "rng", "intermediate": "trace.x",
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIONAL)
def test_a_kind_of_slot(kind: str) -> None:
    old, other = attention(0), attention(1)
    assert list(get_state_dict(old)) == ["weight"]
    state = get_state_dict(other, include=kind)
    assert set(state) == {"weight", KEYS[kind]}
    load_state_dict(old, state, strict=True, include=kind)
    everything = get_state_dict(old, include=OPTIONAL)
    assert {key for key, leaf in everything.items() if leaf.tolist() == [1, 1]} == set(state)
    load_state_dict(old, get_state_dict(attention(2), include=OPTIONAL), silent=True)
    assert snapshot(old, include=kind)[KEYS[kind]].tolist() == [1, 1]


@pytest.mark.parametrize("make", [
    Rotary, lambda x: nn.Sequential(Rotary(x)), Saving, lambda x: nn.Sequential(Saving(x)),
])  # fmt: skip
def test_buffers_of_torch_that_are_not_saved(make: Callable[[float], Any], tmp_path: Any) -> None:
    old, other = make(0), make(1)
    save(other, tmp_path / "m.safetensors", include="computed")
    load(old, tmp_path / "m.safetensors", include="computed", strict=True)
    (name,) = (n for n, _ in old.named_buffers())
    assert old.get_buffer(name).tolist() == [1, 1]
    assert set(get_state_dict(old, include="computed")) == {*old.state_dict(), name}
    assert list(get_state_dict(old)) == list(old.state_dict())


@pytest.mark.parametrize(
    "kind", ["rng", "state", "", "*", ("random", "Random"), [None], None, 1, "\n"]
)
def test_another_word_is_refused_with_those_that_there_are(kind: Any) -> None:
    with pytest.raises(StateDictError, match="computed, cache, random, intermediate"):
        get_state_dict(attention(0), include=kind)
    with pytest.raises(StateDictError, match="left out"):
        load_state_dict(attention(0), {"weight": np.zeros(2)}, include=kind)
