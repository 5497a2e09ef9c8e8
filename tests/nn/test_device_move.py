from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from caten_sd.errors import ModelError
from caten_sd.nn import Linear, Sequential
from caten_sd.objects.extract import get_state_dict

from .models import Everything, ramp


@pytest.mark.parametrize("where", [("meta",), (torch.device("meta"), torch.float64)], ids=str)
def test_to_moves_parameters_and_buffers_and_leaves_transients(where) -> None:
    model = Everything()
    assert model.to(*where) is model
    moved = [*model.parameters(), *model.buffers()]
    assert len(moved) == 7 + 3 + 3
    assert all(leaf.is_meta for leaf in moved)
    assert not model.cache.is_meta
    assert isinstance(model.weight, Parameter)


def test_to_a_dtype_keeps_integers_and_the_object() -> None:
    model = Everything()
    before = list(model.parameters())
    model.to(torch.float64)
    assert all(new is old for new, old in zip(model.parameters(), before, strict=True))
    assert {leaf.dtype for leaf in model.parameters()} == {torch.float64}
    assert (model.mask.dtype, model.table.dtype, model.counts.dtype, model.cache.dtype) == (
        torch.float64,
        torch.float64,
        torch.int64,
        torch.float32,
    )
    assert model.foreign.num_batches_tracked.dtype == torch.int64
    torch.testing.assert_close(model.mask, ramp(3).double(), rtol=0, atol=0)


@pytest.mark.parametrize("where", ["meta", torch.float64])
def test_ties_survive_a_move(where) -> None:
    shared = Linear(2, 2)
    model = Sequential(shared, torch.nn.Linear(2, 2), shared, Linear(2, 2))
    model[1].weight = shared.weight
    model[3].weight = shared.weight
    ties = dict(get_state_dict(model).ties)
    assert len(ties) == 4
    assert dict(get_state_dict(model.to(where)).ties) == ties


def test_a_gradient_and_an_optimizer_follow_the_parameter() -> None:
    model = Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.ones(1, 2)).sum().backward()
    model.to(torch.float64)
    assert model.weight.grad is not None
    assert model.weight.grad.dtype == torch.float64
    before = model.weight.detach().clone()
    optimizer.step()
    torch.testing.assert_close(model.weight, before - 1)


def test_a_buffer_that_a_graph_made_moves_without_a_warning() -> None:
    model = Everything()
    model.mask = model.mask * torch.ones(1, requires_grad=True)
    assert model.to(torch.float64).mask.dtype == torch.float64


@pytest.mark.parametrize(
    ("where", "facts"),
    [
        ((), "one device, one dtype"),
        (("cpu", "meta"), "one device, one dtype"),
        ((torch.int32,), "a floating dtype"),
    ],
)
def test_impossible_destinations_are_refused(where, facts: str) -> None:
    with pytest.raises(ModelError, match=facts):
        Linear(2, 2).to(*where)


def test_a_move_from_meta_is_refused_with_the_remedy() -> None:
    with torch.device("meta"):
        model = Linear(2, 2)
    with pytest.raises(ModelError, match=r"\(2, 2\).*no data.*load_state_dict"):
        model.to("cpu")
