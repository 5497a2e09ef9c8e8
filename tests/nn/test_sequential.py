from __future__ import annotations

import attrs
import pytest
import torch

from caten_sd.errors import ModelError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.nn import Linear, Module, ReLU, Sequential, buffer, call, defsequence
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.slots import KEY
from caten_sd.state.keys import lisp_style_dict_key


@defsequence
def MLP(n_in: int, hidden: int, n_out: int, *, activation=torch.relu):
    """Two layers."""
    return Linear(n_in, hidden), activation, Linear(hidden, n_out)


def torch_mlp() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("middle", [ReLU(), torch.relu, torch.nn.ReLU()])
def test_agrees_with_torch(agree, middle) -> None:
    agree(Sequential(Linear(3, 4), middle, Linear(4, 2)), torch_mlp(), torch.randn(5, 3))


def test_keys_are_torchs(keys_of) -> None:
    ours = Sequential(Linear(3, 4), ReLU(), Linear(4, 2))
    assert keys_of(ours) == list(torch_mlp().state_dict())
    assert load_state_dict(ours, torch_mlp().state_dict(), strict=True) is ours


def test_a_module_of_torch_is_a_node(keys_of) -> None:
    ours = Sequential(torch.nn.Linear(3, 4), Linear(4, 2))
    assert keys_of(ours) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(list(ours.parameters())) == 4


def test_it_is_a_sequence() -> None:
    nodes = [Linear(3, 4), ReLU()]
    ours = Sequential(*nodes)
    ours[1] = torch.tanh
    assert len(ours) == 2
    assert [ours[0], ours[1]] == list(ours) == [nodes[0], torch.tanh]


def test_a_node_that_cannot_be_called_is_named() -> None:
    with pytest.raises(ModelError, match="node 1 of a sequence is 3"):
        Sequential(ReLU(), 3)


def test_defsequence_makes_a_class_with_the_functions_arguments(agree) -> None:
    agree(MLP(3, 4, 2), torch_mlp(), torch.randn(5, 3))
    assert (MLP.__name__, MLP.__doc__, MLP.__module__) == ("MLP", "Two layers.", __name__)
    assert isinstance(MLP(3, 4, 2, activation=ReLU())[1], ReLU)
    with pytest.raises(TypeError, match="n_out"):
        MLP(3, 4)


def test_defsequence_has_catens_keys() -> None:
    state = get_state_dict(MLP(3, 4, 2), key_mapper=lisp_style_dict_key)
    assert list(state) == ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"]


def test_defsequence_adopts_leaves() -> None:
    model = MLP(3, 4, 2)
    new = {key: torch.ones_like(leaf) for key, leaf in get_state_dict(model).items()}
    load_state_dict(model, new, assign=True, strict=True)
    assert all((leaf == 1).all() for leaf in model.parameters())
    assert not hasattr(model, "MLP.0")


def test_the_nodes_of_a_defsequence_are_a_list_with_a_declared_key() -> None:
    state = get_state_dict(MLP(3, 4, 2))
    assert state.paths["MLP.2.bias"] == ["MLP", 2, "bias"]
    assert attrs.fields(MLP).nodes.metadata[KEY] == "MLP"


def test_a_subclass_may_add_slots_of_its_own(keys_of) -> None:
    @attrs.define(init=False)
    class Scaled(Sequential):
        scale: torch.Tensor = attrs.field(factory=lambda: torch.ones(1))

        def __init__(self, *nodes: object) -> None:
            super().__init__(*nodes)
            self.scale = torch.ones(1)

    assert keys_of(Scaled(Linear(3, 4), ReLU())) == ["0.weight", "0.bias", "scale"]


def test_what_a_node_computes_is_known_under_the_nodes_number() -> None:
    @attrs.define
    class Masked(Module):
        w: torch.Tensor = attrs.field(factory=lambda: torch.zeros(1))
        mask: torch.Tensor = buffer(persistent=False, factory=lambda: torch.ones(2))

    model = Sequential(Masked())
    plan = plan_load(model, {"0.w": torch.ones(1), "0.mask": torch.ones(2)})
    assert [row.key for row in plan.of(Outcome.COMPUTED)] == ["0.mask"]
    model.to("meta")
    load_state_dict(model, {"0.w": torch.ones(1)}, strict=True)
    assert model[0].mask.tolist() == [1, 1]


def test_a_method_for_one_sequence_is_its_own() -> None:
    @defsequence
    def Doubled(size: int):
        return (Linear(size, size),)

    @call.register(Doubled)
    def doubled(call_next_method, model, x):
        return 2 * call_next_method(model, x)

    model, x = Doubled(3), torch.randn(2, 3)
    torch.testing.assert_close(model(x), 2 * model[0](x))
