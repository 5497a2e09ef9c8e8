from __future__ import annotations

import dataclasses
from typing import NamedTuple

import attrs
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from caten_sd.errors import ModelError
from caten_sd.extract import get_state_dict, to_state_dict
from caten_sd.load import load_state_dict
from caten_sd.nn import BatchNorm, Linear, Module, Sequential, Transformer, buffer, call, transient


def ramp(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


@attrs.define
class Everything(Module):
    weight: Tensor = attrs.field(factory=lambda: Parameter(ramp(2)))
    mask: Tensor = buffer(factory=lambda: ramp(3))
    table: Tensor = buffer(persistent=False, factory=lambda: ramp(4))
    counts: Tensor = buffer(factory=lambda: torch.arange(2))
    cache: Tensor = transient(factory=lambda: ramp(5))
    parts: list[object] = attrs.field(factory=lambda: [None, Linear(2, 2)])
    pair: tuple[object, ...] = attrs.field(factory=lambda: (Parameter(ramp(1)), "text"))
    named: dict[str, object] = attrs.field(factory=lambda: {"a-b": Linear(2, 1, bias=False)})
    foreign: torch.nn.Module = attrs.field(factory=lambda: torch.nn.BatchNorm1d(2))
    scale: float = 2.0


def test_a_subclass_of_plain_define_compares_by_identity_and_is_hashable() -> None:
    one, two = Everything(), Everything()
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_its_repr_has_shapes_and_no_numbers() -> None:
    text = repr(Everything())
    assert text.startswith("Everything(weight=<float32 (2,)>, mask=<float32 (3,)>")
    assert "tensor(" not in repr(Linear(2, 2))


def test_an_undeclared_attribute_is_refused() -> None:
    with pytest.raises(AttributeError, match="mask"):
        Linear(2, 2).mask = torch.ones(2)


def test_named_parameters_have_the_keys_of_the_state_dict() -> None:
    model = Everything()
    found = dict(model.named_parameters())
    state = get_state_dict(model)
    assert list(found) == [
        "weight",
        "parts.1.weight",
        "parts.1.bias",
        "pair.0",
        "named.a-b.weight",
        "foreign.weight",
        "foreign.bias",
    ]
    assert all(leaf is state[key] for key, leaf in found.items())
    assert [id(p) for p in model.parameters()] == [id(p) for p in found.values()]


def test_buffers_are_what_moves_and_is_not_trained() -> None:
    model = Everything()
    own = [model.mask, model.table, model.counts]
    theirs = list(model.foreign.buffers())
    assert [id(b) for b in model.buffers()] == [id(b) for b in own + theirs]


def test_a_buffer_that_requires_a_gradient_is_still_no_parameter() -> None:
    model = Everything(mask=torch.ones(3, requires_grad=True))
    assert "mask" not in dict(model.named_parameters())


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


def test_a_gradient_and_an_optimizer_go_with_the_parameter() -> None:
    model = Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.ones(1, 2)).sum().backward()
    model.to(torch.float64)
    assert model.weight.grad is not None
    assert model.weight.grad.dtype == torch.float64
    before = model.weight.detach().clone()
    optimizer.step()
    torch.testing.assert_close(model.weight, before - 1)


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


def test_what_a_user_taught_is_trained_and_moved() -> None:
    model = Everything(parts=[Lora()])
    assert {"parts.0.down", "parts.0.up"} <= set(dict(model.named_parameters()))
    model.to(torch.float64)
    assert model.parts[0].down.dtype == torch.float64
    with pytest.raises(ModelError, match=r"Lora\.down cannot be replaced"):
        model.to("meta")


def test_a_module_that_holds_itself_can_be_walked() -> None:
    model = Everything()
    model.parts.append(model)
    assert sum(part is model for part in model.modules()) == 1
    assert model.to(torch.float64).weight.dtype == torch.float64


def test_train_and_eval_reach_every_module() -> None:
    model = Sequential(BatchNorm(2), torch.nn.Sequential(torch.nn.Dropout()), Linear(2, 2))
    assert model.eval() is model
    switched = [model[0], model[1], model[1][0]]
    assert [part.training for part in switched] == [False] * 3
    model.train()
    assert [part.training for part in switched] == [True] * 3


def test_requires_grad_and_zero_grad() -> None:
    model = Everything().requires_grad_(False)
    assert not any(p.requires_grad for p in model.parameters())
    assert len(list(model.parameters())) == 7
    model.requires_grad_()
    assert model.weight.requires_grad
    assert not model.mask.requires_grad
    model.weight.sum().backward()
    model.zero_grad()
    assert model.weight.grad is None


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ((), "one device, one dtype"),
        (("cpu", "meta"), "one device, one dtype"),
        ((torch.int32,), "a floating dtype"),
    ],
)
def test_a_move_to_nowhere_is_refused(where, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Linear(2, 2).to(*where)


def test_a_move_from_meta_says_what_to_do() -> None:
    with torch.device("meta"):
        model = Linear(2, 2)
    with pytest.raises(ModelError, match=r"no data to move; load the weights"):
        model.to("cpu")


def test_a_model_is_built_on_the_meta_device_and_loaded() -> None:
    with torch.device("meta"):
        model = Transformer(8, 2, 1, 1e-5, 11, max_seq_len=4)
    assert all(p.is_meta and isinstance(p, Parameter) for p in model.parameters())
    source = Transformer(8, 2, 1, 1e-5, 11, max_seq_len=4)
    load_state_dict(model, get_state_dict(source), strict=True)
    tokens = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(model(tokens), source(tokens))


def test_a_training_step_with_an_optimizer_lowers_the_loss() -> None:
    torch.manual_seed(0)
    model = Sequential(Linear(4, 8), BatchNorm(8), torch.tanh, Linear(8, 1))
    x = torch.randn(32, 4)
    target = x.sum(1, keepdim=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.mse_loss(call(model, x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
