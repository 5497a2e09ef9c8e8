from __future__ import annotations

import attrs
import torch
from torch import Tensor

from caten_sd.lisp.operators.surroundings import surroundings
from caten_sd.nn import Module, transient


@attrs.define
class Remembering(Module):
    weight: Tensor
    seen: Tensor | None = transient(default=None)


def test_new_tensors_are_made_where_the_first_tensor_is() -> None:
    model = Remembering(torch.ones(2))
    with surroundings(model, [3, torch.ones(2, device="meta")]):
        assert torch.ones(2).device.type == "meta"
    with surroundings(model, [3]):
        assert torch.ones(2).device.type == "cpu"


def test_a_cache_keeps_numbers_and_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    model = Remembering(weight)
    with surroundings(model, []):
        model.seen = written = weight * 2
    assert not model.seen.requires_grad
    model.seen.fill_(7)
    assert written.tolist() == [2, 2]
    assert model.weight is weight


def test_what_inference_made_can_be_written_to_afterwards() -> None:
    model = Remembering(torch.ones(2))
    with torch.inference_mode(), surroundings(model, []):
        model.seen = torch.ones(2)
    assert model.seen.is_inference()
    with surroundings(model, []):
        assert model.seen.add_(1).tolist() == [2, 2]
