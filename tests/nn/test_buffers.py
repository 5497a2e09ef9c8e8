"""A tutorial on buffers, written for nn.Module, as tests on attrs modules.

Three classes hold a causal mask: as a buffer, as a buffer that is not saved, and as an attribute
that is not declared.
"""

from __future__ import annotations

import attrs
import pytest
import torch
from torch import Tensor

from caten_sd.loading.load import load_state_dict
from caten_sd.nn import Linear, Module, buffer, call
from caten_sd.objects.extract import get_state_dict

DIM, CONTEXT = 3, 6


def causal() -> Tensor:
    return torch.triu(torch.ones(CONTEXT, CONTEXT), diagonal=1)


def query() -> Linear:
    return Linear(DIM, DIM, bias=False)


@attrs.define
class WithBuffer(Module):
    W_query: Linear = attrs.field(factory=query)
    mask: Tensor = buffer(factory=causal)


@attrs.define
class WithComputedBuffer(Module):
    W_query: Linear = attrs.field(factory=query)
    mask: Tensor = buffer(persistent=False, factory=causal)


@attrs.define(slots=False)
class WithoutBuffer(Module):
    W_query: Linear = attrs.field(factory=query)

    def __attrs_post_init__(self) -> None:
        self.mask = causal()


@call.register((WithBuffer, WithComputedBuffer, WithoutBuffer))
def masked_scores(model: WithBuffer, x: Tensor) -> Tensor:
    projected = model.W_query(x)
    mask = model.mask[: x.shape[1], : x.shape[1]]
    return projected @ projected.mT + torch.finfo(mask.dtype).min * mask


EVERY = [WithBuffer, WithComputedBuffer, WithoutBuffer]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (WithBuffer, ["W_query.weight", "mask"]),
        (WithComputedBuffer, ["W_query.weight"]),
        (WithoutBuffer, ["W_query.weight"]),
    ],
)
def test_only_a_persistent_buffer_is_saved(kind: type, keys: list[str]) -> None:
    assert list(get_state_dict(kind())) == keys


@pytest.mark.parametrize("kind", EVERY)
def test_a_buffer_is_not_trained(kind: type) -> None:
    assert [key for key, _ in kind().named_parameters()] == ["W_query.weight"]


@pytest.mark.parametrize("kind", [WithBuffer, WithComputedBuffer])
def test_a_buffer_moves_with_the_model(kind: type) -> None:
    model = kind().to("meta")
    assert model.W_query.weight.is_meta
    assert model.mask.is_meta
    assert model(torch.ones(2, CONTEXT, DIM, device="meta")).is_meta


def test_an_undeclared_mask_is_not_moved() -> None:
    model = WithoutBuffer().to("meta")
    assert model.W_query.weight.is_meta
    assert not model.mask.is_meta
    with pytest.raises(RuntimeError, match=r"device"):
        model(torch.ones(2, CONTEXT, DIM, device="meta"))


@pytest.mark.parametrize(("kind", "restored"), [(WithBuffer, 2.0), (WithoutBuffer, 1.0)])
def test_a_changed_mask_comes_back_only_from_a_buffer(kind: type, restored: float) -> None:
    model = kind()
    model.mask[model.mask == 1] = 2
    saved = {key: leaf.detach().clone() for key, leaf in get_state_dict(model).items()}
    again = load_state_dict(kind(), saved, strict=True)
    assert again.mask.max() == restored


def test_with_slots_an_undeclared_mask_is_refused_at_once() -> None:
    @attrs.define
    class Slotted(Module):
        def __attrs_post_init__(self) -> None:
            self.mask = causal()

    with pytest.raises(AttributeError, match="mask"):
        Slotted()
