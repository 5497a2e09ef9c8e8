"""Modules of every shape: shared, nested, cyclic, lazy, wrapped, declared, oddly named."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import attrs
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from caten_sd import StateDictError, get_state_dict
from caten_sd.objects.slots import slot_metadata

from .agreement import assert_agrees


def test_buffers_count_if_they_are_persistent() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("kept", torch.zeros(1))
    module.register_buffer("computed", torch.zeros(1), persistent=False)
    module.register_buffer("absent", None)
    module.register_parameter("nothing", None)
    module.cache = torch.zeros(1)
    assert list(get_state_dict(module)) == ["weight", "bias", "kept"]
    assert_agrees(module)


def test_both_spellings_of_weight_norm_and_other_parametrizations() -> None:
    with pytest.warns(FutureWarning):
        old = torch.nn.utils.weight_norm(nn.Linear(2, 2))
    assert list(get_state_dict(old)) == ["bias", "weight_g", "weight_v"]
    new = parametrizations.weight_norm(nn.Linear(2, 2))
    originals = [f"parametrizations.weight.original{i}" for i in (0, 1)]
    assert list(get_state_dict(new)) == ["bias", *originals]
    for module in (
        old,
        new,
        torch.nn.utils.spectral_norm(nn.Linear(2, 2)),
        parametrizations.spectral_norm(nn.Linear(2, 2)),
        parametrizations.orthogonal(nn.Linear(2, 2)),
    ):
        assert_agrees(nn.Sequential(module, nn.Linear(1, 1)))


def test_lazy_modules_are_listed_before_they_know_their_shapes() -> None:
    module = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
    assert_agrees(module)
    assert "0.weight              -> <UninitializedParameter>" in str(get_state_dict(module))
    module(torch.zeros(3, 4))
    assert_agrees(module)
    assert "0.weight              -> (2 4)" in str(get_state_dict(module))


def test_names_keep_their_hyphens() -> None:
    module = nn.Sequential()
    module.add_module("in-proj", nn.Linear(1, 1))
    module.add_module("in_proj", nn.Linear(1, 1))
    module.add_module("0", nn.Linear(1, 1))
    module.add_module("été", nn.Linear(1, 1))
    setattr(module, "dotted.name", nn.Linear(1, 1))  # add_module refuses it, setattr does not
    assert list(get_state_dict(module)) == list(module.state_dict())


def test_a_shared_module_is_listed_under_each_path_and_tied() -> None:
    shared = nn.Linear(2, 2)
    module = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared)})
    assert_agrees(module)
    assert get_state_dict(module).ties == {"b.0.weight": "a.weight", "b.0.bias": "a.bias"}


def test_a_module_that_holds_itself_is_named() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.ModuleDict())
    module[1].add_module("back", module)
    with pytest.raises(StateDictError, match=r"'1\.back' is the root again: a Sequential"):
        get_state_dict(module)
    module._register_state_dict_hook(lambda *given: None)
    with pytest.raises(StateDictError, match=r"'1\.back' is the root again: a Sequential"):
        get_state_dict(module)


def test_modules_are_followed_as_deep_as_torch_follows_them() -> None:
    module: nn.Module = nn.Linear(1, 1)
    for _ in range(300):
        module = nn.Sequential(module)
    assert_agrees(module)
    for _ in range(300):
        module = nn.Sequential(module)
    assert_agrees(module)
    for _ in range(sys.getrecursionlimit()):
        module = nn.Sequential(module)
    with pytest.raises(StateDictError, match=r"too deep"):
        get_state_dict(module)


def test_a_class_that_is_attrs_and_a_module_is_a_module() -> None:
    @attrs.define(eq=False)
    class Declared(nn.Module):
        width: int
        mask: torch.Tensor = attrs.field(factory=lambda: torch.zeros(1))
        fc: nn.Module = attrs.field(init=False)

        def __attrs_pre_init__(self) -> None:
            super().__init__()

        def __attrs_post_init__(self) -> None:
            self.fc = nn.Linear(self.width, 1)

    @attrs.define(slots=False)
    class Unhashable(Declared):
        pass

    assert list(get_state_dict(Declared(2))) == ["fc.weight", "fc.bias"]
    assert_agrees(nn.Sequential(Unhashable(2), nn.LazyLinear(1)))


def test_a_tensor_subclass_is_one_leaf() -> None:
    class Scaled(torch.Tensor):
        @staticmethod
        def __new__(cls, data: torch.Tensor) -> Scaled:
            wrapper: Scaled = torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=torch.half)
            wrapper.data_int8 = data
            return wrapper

        @classmethod
        def __torch_dispatch__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return args[0] if func is torch.ops.aten.detach.default else NotImplemented

    module = nn.Linear(2, 2)
    module.weight = nn.Parameter(Scaled(torch.zeros(2, 2, dtype=torch.int8)), requires_grad=False)
    assert_agrees(module)
    assert "weight -> (2 2)" in str(get_state_dict(module))


def test_keys_do_not_have_the_segments_of_wrappers() -> None:
    inner = nn.Linear(1, 1)
    compiled = torch.compile(inner, backend="eager")
    for wrapper in (compiled, nn.DataParallel(inner), nn.DataParallel(compiled)):
        assert list(get_state_dict(wrapper)) == ["weight", "bias"]
        assert list(get_state_dict(nn.Sequential(wrapper))) == ["0.weight", "0.bias"]
        assert get_state_dict(wrapper)["weight"] is inner.weight
    real_child = nn.ModuleDict({"module": inner})
    assert list(get_state_dict(real_child)) == ["module.weight", "module.bias"]
    assert list(get_state_dict(nn.DataParallel(real_child))) == ["module.weight", "module.bias"]


@pytest.mark.parametrize("below", [False, True])
def test_a_declared_key_in_a_module_of_torch_is_refused(below: bool) -> None:
    @dataclasses.dataclass(eq=False)
    class Net(nn.Module):
        inner: nn.Module = dataclasses.field(metadata=slot_metadata(key="MLP.0"))

        def __new__(cls, *args: Any) -> Any:
            made = super().__new__(cls)
            nn.Module.__init__(made)
            return made

    net = Net(nn.Linear(1, 1))
    with pytest.raises(StateDictError, match=r"inner of Net .*'MLP\.0'"):
        get_state_dict(nn.Sequential(net) if below else net)
