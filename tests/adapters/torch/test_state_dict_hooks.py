"""Hooks, overrides and extra state give exactly what torch's own state_dict gives."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import attrs
import pytest
import torch
from torch import nn

from caten_sd import StateDictError, get_state_dict, to_state_dict

from .agreement import assert_agrees


def model() -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            first=nn.Linear(2, 2), inner=nn.Sequential(nn.Linear(2, 2)), last=nn.Linear(2, 2)
        )
    )


def rename(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    state[prefix + "renamed"] = state.pop(prefix + "weight")


def drop_all_biases(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for key in [key for key in state if key.endswith("bias")]:
        del state[key]


def add_without_prefix(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    state["elsewhere"] = module.weight


def reverse(module: nn.Module, state: Any, prefix: str, metadata: Any) -> Any:
    return OrderedDict(reversed(state.items()))


@pytest.mark.parametrize("hook", [rename, drop_all_biases, add_without_prefix, reverse])
@pytest.mark.parametrize("at", ["", "first", "inner.0", "last"])
def test_a_private_hook_anywhere_is_run_as_torch_runs_it(hook: Any, at: str) -> None:
    whole = model()
    target = whole.get_submodule(at)
    if hook in (rename, add_without_prefix) and not at:
        target.register_parameter("weight", nn.Parameter(torch.zeros(1)))
    target._register_state_dict_hook(hook)
    assert_agrees(whole)


@pytest.mark.parametrize("hook", [rename, drop_all_biases, add_without_prefix])
@pytest.mark.parametrize("at", ["first", "inner.0", "last"])
def test_a_public_hook_anywhere_is_run_as_torch_runs_it(hook: Any, at: str) -> None:
    whole = model()
    # The public registration marks the function, so each gets one of its own.
    whole.get_submodule(at).register_state_dict_post_hook(lambda *given: hook(*given))
    assert_agrees(whole)


def test_a_pre_hook_may_change_the_module_first() -> None:
    whole = model()
    seen = []

    def note(module: nn.Module, prefix: str, keep_vars: bool) -> None:
        seen.append(prefix)
        if len(seen) == 1:
            module.late = nn.Parameter(torch.zeros(1))

    whole.inner.register_state_dict_pre_hook(note)
    assert list(get_state_dict(whole))[2] == "inner.late"
    assert seen == ["inner."]
    assert_agrees(whole)


def test_a_hook_is_run_below_the_slot_of_an_attrs_class() -> None:
    @attrs.define
    class Holder:
        net: nn.Module

    whole = model()
    whole._register_state_dict_hook(reverse)
    ours = get_state_dict(Holder(whole))
    assert list(ours) == [f"net.{key}" for key in whole.state_dict()]


class OverridesStateDict(nn.Linear):
    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        state[kwargs.get("prefix", "") + "extra"] = self.weight
        return state


class OverridesSave(nn.Linear):
    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[prefix + "packed"] = self.weight


class HasExtraState(nn.Linear):
    def get_extra_state(self) -> Any:
        return self.weight


@pytest.mark.parametrize("cls", [OverridesStateDict, OverridesSave, HasExtraState])
def test_an_override_is_called_at_the_root_and_below(cls: type[nn.Module]) -> None:
    assert_agrees(cls(2, 2))  # type: ignore[call-arg]
    assert_agrees(nn.Sequential(nn.Linear(2, 2), cls(2, 2)))  # type: ignore[call-arg]


@pytest.mark.parametrize("method", ["state_dict", "_save_to_state_dict"])
def test_an_override_on_one_object_is_called(method: str) -> None:
    whole = model()
    usual = getattr(whole.first, method)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        result = usual(*args, **kwargs)
        destination = kwargs["destination"] if "destination" in kwargs else args[0]
        destination.pop("first.bias")
        return result

    setattr(whole.first, method, replaced)
    assert "first.bias" not in get_state_dict(whole)
    assert_agrees(whole)


def test_extra_state_of_any_value_is_state() -> None:
    class Counted(nn.Module):
        def get_extra_state(self) -> Any:
            return {"steps": 3}

    state = get_state_dict(nn.ModuleList([Counted(), Counted()]))
    assert dict(state) == {"0._extra_state": {"steps": 3}, "1._extra_state": {"steps": 3}}


def test_extra_states_of_one_value_are_not_tied() -> None:
    class Versioned(nn.Module):
        def get_extra_state(self) -> Any:
            return None

    assert get_state_dict(nn.ModuleList([Versioned(), Versioned()])).ties == {}


class Adapted(nn.Linear):
    """A class for which a user has taught ``to_state_dict``."""


@to_state_dict.register(Adapted)
def adapted_pairs(call_next_method: Any, obj: Adapted, parent: Any, /) -> Any:
    return [*call_next_method(obj, parent), ([*parent, "scale"], torch.ones(1))]


def test_a_taught_class_uses_its_own_method_wherever_it_is() -> None:
    assert list(get_state_dict(Adapted(1, 1))) == ["weight", "bias", "scale"]
    inside = nn.Sequential(nn.Linear(1, 1), nn.Sequential(Adapted(1, 1)), HasExtraState(1, 1))
    assert list(get_state_dict(inside)) == [
        *("0.weight", "0.bias", "1.0.weight", "1.0.bias", "1.0.scale"),
        *("2.weight", "2.bias", "2._extra_state"),
    ]


def test_a_class_that_is_taught_late_uses_its_method_from_then_on() -> None:
    class Late(nn.Linear):
        pass

    whole = nn.Sequential(Late(1, 1))
    assert_agrees(whole)

    @to_state_dict.register(Late)
    def late_pairs(obj: Late, parent: Any, /) -> Any:
        return to_state_dict(obj.weight, [*parent, "late"])

    assert list(get_state_dict(whole)) == ["0.late"]


def test_a_hook_above_a_taught_class_is_refused() -> None:
    whole = nn.Sequential(nn.Sequential(Adapted(1, 1)))
    whole[0]._register_state_dict_hook(drop_all_biases)
    with pytest.raises(StateDictError, match=r"'0', a Sequential, changes .* Adapted"):
        get_state_dict(whole)
