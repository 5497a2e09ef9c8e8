from __future__ import annotations

import dataclasses
from typing import NamedTuple

import attrs
import pytest
import torch
from torch.nn import Parameter

from caten_sd.errors import ModelError
from caten_sd.objects.extract import get_state_dict, to_state_dict

from .models import Everything, ramp


class Pair(NamedTuple):
    left: object
    right: object


@dataclasses.dataclass
class Data:
    inner: object


@attrs.frozen
class Frozen:
    inner: object


@pytest.mark.parametrize(
    "hold",
    [
        lambda leaf: [leaf],
        lambda leaf: (leaf, [leaf]),
        lambda leaf: {"k": (leaf,)},
        lambda leaf: Pair(leaf, None),
        Data,
        Frozen,
        lambda leaf: Frozen(Data((leaf,))),
    ],
)
def test_every_container_that_has_state_is_moved(hold) -> None:
    model = Everything(parts=hold(Parameter(ramp(2))))
    key = next(key for key in get_state_dict(model) if key.startswith("parts"))
    model.to("meta")
    assert get_state_dict(model)[key].is_meta
    assert key in dict(model.named_parameters())


class Lora:
    def __init__(self) -> None:
        self.down, self.up = Parameter(ramp(1, 2)), Parameter(ramp(2, 1))


@to_state_dict.register(Lora)
def lora_pairs(lora: Lora, parent):
    return [([*parent, "down"], lora.down), ([*parent, "up"], lora.up)]


def test_a_class_that_a_user_taught_is_trained_and_moved() -> None:
    model = Everything(parts=[Lora()])
    assert {"parts.0.down", "parts.0.up"} <= set(dict(model.named_parameters()))
    model.to(torch.float64)
    assert model.parts[0].down.dtype == torch.float64
    with pytest.raises(ModelError, match=r"Lora\.down cannot be replaced"):
        model.to("meta")


def test_a_module_that_holds_itself_can_be_walked() -> None:
    model = Everything()
    model.parts.append(model)
    assert sum(module is model for module in model.modules()) == 1
    assert model.to(torch.float64).weight.dtype == torch.float64
