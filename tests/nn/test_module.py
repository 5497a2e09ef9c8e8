from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.nn import Parameter

from caten_sd.errors import StateDictError
from caten_sd.loading.load import load_state_dict
from caten_sd.nn import BatchNorm, Linear, Module, Sequential, Transformer, call
from caten_sd.objects.extract import get_state_dict

from .models import Everything


def test_a_subclass_of_plain_define_compares_by_identity_and_is_hashable() -> None:
    one, two = Everything(), Everything()
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_its_repr_has_shapes_instead_of_numbers() -> None:
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


def test_a_buffer_that_requires_a_gradient_is_not_a_parameter() -> None:
    model = Everything(mask=torch.ones(3, requires_grad=True))
    assert "mask" not in dict(model.named_parameters())


def test_train_and_eval_reach_every_module() -> None:
    model = Sequential(BatchNorm(2), torch.nn.Sequential(torch.nn.Dropout()), Linear(2, 2))
    assert model.eval() is model
    switched = [model[0], model[1], model[1][0]]
    assert [module.training for module in switched] == [False] * 3
    model.train()
    assert [module.training for module in switched] == [True] * 3


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


def test_a_parameter_of_integers_stays_frozen() -> None:
    model = Everything(weight=Parameter(torch.arange(2), requires_grad=False)).requires_grad_()
    assert not model.weight.requires_grad
    assert model.parts[1].weight.requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_equal_separate_and_tied_like_the_original(copied) -> None:
    model = Transformer(8, 2, 1, 1e-5, 11, max_seq_len=4)
    model.lm_head.weight = model.wte.weight
    other, tokens = copied(model), torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(other(tokens), model(tokens), rtol=0, atol=0)
    assert other.lm_head.weight is other.wte.weight
    assert other.wte.weight is not model.wte.weight


class Undecorated(Module):
    def __init__(self) -> None:
        self.first = Linear(2, 2)


class Special(Linear):
    """An undecorated subclass without state of its own."""

    def doubled(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = 1
        return 2 * self(x)


def test_state_that_no_class_declares_is_refused_and_not_left_out() -> None:
    with pytest.raises(StateDictError, match=r"Undecorated\.first .*attrs\.define"):
        get_state_dict(Undecorated())
    with pytest.raises(StateDictError, match="Undecorated"):
        get_state_dict([Undecorated()])
    special = Special(2, 2)
    special.doubled(torch.zeros(1, 2))
    assert list(get_state_dict(special)) == ["weight", "bias"]
