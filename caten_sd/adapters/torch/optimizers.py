"""``torch.optim``: an optimizer's state by the names of its parameters, and how it is loaded.

torch itself saves positions, and loads them without a check of the parameters (pytorch#1489).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from caten_sd.adapters.torch.leaves import torch_dtype
from caten_sd.errors import LoadError, StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.loading.report import LoadPlan, Outcome
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.compare import is_exact, largest_error
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Spec, Torch, as_array, spec
from caten_sd.state.plain_values import tree_pairs
from caten_sd.state.saved_leaf import live
from caten_sd.training.components import (
    Commit,
    Component,
    ComponentPlan,
    Undo,
    component_of,
)
from caten_sd.training.live_optimizer import LiveOptimizer, SlotTensor
from caten_sd.training.optimizer import plan_optimizer
from caten_sd.training.saved_optimizer import MEMBERS
from caten_sd.training.saved_training import SavedTraining
from caten_sd.training.training_plan import plan_alone

_IN_ORDER = (torch.optim.LBFGS,)  # their state is one vector of all parameters, end to end


@to_state_dict.register(Optimizer)
def _pairs(optimizer: Optimizer, parent: Path, /) -> list[Pair]:
    return tree_pairs(_tree(optimizer, None), parent)


class OptimizerComponent(Component):
    """An optimizer, whose state goes by the names of its parameters."""

    def tree(self, model: Any = None) -> Any:
        """Return what ``state_dict()`` holds, with names instead of positions."""
        return _tree(self.held, model)

    def plan(self, prefix: str, saved: SavedTraining, model: Any) -> ComponentPlan:
        """Return what loading the file's optimizer by names would do."""
        return _plan(self.held, prefix, saved, model)


@component_of.register(Optimizer)
def _component(optimizer: Optimizer, /) -> Component:
    return OptimizerComponent(optimizer)


class _OptimizerHooks(OwnerHooks):
    """An optimizer that is loaded alone, by the names that it knows itself."""

    def plan(
        self,
        state_dict: Mapping[str, Any],
        options: Mapping[str, Any],
        by_slot: Callable[..., LoadPlan],
    ) -> LoadPlan:
        return plan_alone(self.owner, state_dict, options)


@hooks_of.register(Optimizer)
def _hooks(optimizer: Optimizer, /) -> OwnerHooks:
    return _OptimizerHooks(optimizer)


def _tree(optimizer: Optimizer, model: Any) -> Any:
    """Return what ``optimizer.state_dict()`` holds, with names instead of positions."""
    names = _names(optimizer, model)
    saved = optimizer.state_dict()
    flat = [name for group in names for name in group]
    groups = [
        {"params": own, **{name: v for name, v in group.items() if name not in MEMBERS}}
        for own, group in zip(names, saved["param_groups"], strict=True)
    ]
    state = {flat[at] if isinstance(at, int) else at: v for at, v in saved["state"].items()}
    return {"class": type(optimizer).__name__, "param_groups": groups, "state": state}


def _names(optimizer: Optimizer, model: Any) -> list[list[str]]:
    """Return the names of each group's parameters, by the model or by the optimizer itself."""
    known = _named_by(model)
    names = []
    for number, group in enumerate(optimizer.param_groups):
        own = group.get("param_names") or [None] * len(group["params"])
        found = [known.get(id(p), n) for p, n in zip(group["params"], own, strict=True)]
        if None in found:
            raise _nameless(optimizer, model, number, group["params"][found.index(None)])
        names.append(found)
    flat = [name for group in names for name in group]
    if len(set(flat)) < len(flat):
        raise StateDictError(
            f"two parameters of the {type(optimizer).__name__} have the same name; pass the model "
            f"that it trains, as TrainingState(model, optimizer)"
        )
    return names


def _named_by(model: Any) -> dict[int, str]:
    """Return the name of each parameter by its id; the first where it has several."""
    if model is None:
        return {}
    found = list(get_state_dict(model).items())
    if isinstance(model, nn.Module):
        found += model.named_parameters()  # a state dict may hold some in another form
    names: dict[int, str] = {}
    for name, leaf in found:
        names.setdefault(id(leaf), name)
    return names


def _nameless(optimizer: Optimizer, model: Any, number: int, param: torch.Tensor) -> StateDictError:
    kind = type(optimizer).__name__
    if model is None:
        return StateDictError(
            f"this {kind} does not know the names of its parameters; pass the model too, as "
            f"TrainingState(model, optimizer), or build it from model.named_parameters()"
        )
    return StateDictError(
        f"a parameter in group {number} of the {kind}, of shape {list(param.shape)}, is not one of "
        f"the {type(model).__name__}'s; pass the model that the {kind} was built for"
    )


def _plan(optimizer: Optimizer, prefix: str, saved: SavedTraining, model: Any) -> ComponentPlan:
    names = _names(optimizer, model)
    params = dict(zip(_flat(names), _parameters(optimizer), strict=True))
    tree = _tree(optimizer, model)
    live_optimizer = LiveOptimizer(
        type(optimizer).__name__,
        names,
        {name: _spec_of(param) for name, param in params.items()},
        tree["param_groups"],
        tree["state"],
        dict(get_state_dict(model).ties) if model is not None else {},
        isinstance(optimizer, _IN_ORDER),
    )
    plan = plan_optimizer(live_optimizer, saved, prefix)
    errors: dict[str, float] = {}

    def prepare() -> Commit:
        group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        state = {
            params[name]: {
                slot: _value(value, params[name], group_of[id(params[name])], slot)
                for slot, value in slots.items()
            }
            for name, slots in plan.state.items()
        }
        new = {name: state[params[name]] for name in plan.state}
        errors.update(_cast_errors(plan.rows, plan.state, new))
        values = [{name: live(value) for name, value in group.items()} for group in plan.groups]
        return lambda: _commit(optimizer, state, values)

    return ComponentPlan(plan.rows, prepare, plan.notes, errors)


def _spec_of(param: torch.Tensor) -> Spec:
    return spec(param)


def _flat(names: list[list[str]]) -> Iterator[str]:
    return (name for group in names for name in group)


def _parameters(optimizer: Optimizer) -> Iterator[torch.Tensor]:
    return (param for group in optimizer.param_groups for param in group["params"])


def _value(value: Any, param: torch.Tensor, group: dict[str, Any], slot: str) -> Any:
    """Return a value in the form, and on the device, that the optimizer keeps it."""
    if isinstance(value, (list, tuple)):
        return type(value)(_value(child, param, group, slot) for child in value)
    if not isinstance(value, SlotTensor):
        return live(value)
    tensor: torch.Tensor = as_array(Torch(), value.leaf.leaf).detach()
    dtype = torch_dtype(value.dtype)
    # Steps are counted on the host, unless all of the optimizer runs on the device.
    on_host = slot == "step" and not (group.get("capturable") or group.get("fused"))
    if tensor.shape == param.shape and tensor.ndim:
        like = torch.empty_like(param, dtype=dtype, requires_grad=False)
        return like.copy_(tensor)  # with the parameter's strides, as torch makes it
    device = torch.device("cpu") if on_host else param.device
    return torch.empty(tensor.shape, dtype=dtype, device=device).copy_(tensor)


def _cast_errors(rows: Any, wanted: Any, new: Any) -> dict[str, float]:
    """Return the largest error of each cast that loses something, by the file's key."""
    cast = {row.key for row in rows if row.outcome is Outcome.CAST}
    return {
        value.leaf.key: largest_error(value.leaf.leaf, new[name][slot])
        for name, slots in wanted.items()
        for slot, value in slots.items()
        if isinstance(value, SlotTensor) and value.leaf.key in cast
        and not is_exact(spec(value.leaf.leaf).dtype, value.dtype)
    }  # fmt: skip


def _commit(optimizer: Optimizer, state: dict[Any, Any], values: list[dict[str, Any]]) -> Undo:
    """Replace the old state with the new one, as the last step of torch's own load does.

    ``__setstate__`` adds what a newer version of an optimizer keeps and an older one did not.
    """
    before = {"state": optimizer.state, "param_groups": optimizer.param_groups}
    groups = [
        {**own, **new, "params": own["params"]}
        for own, new in zip(optimizer.param_groups, values, strict=True)
    ]

    def undo() -> None:
        optimizer.__setstate__(before)

    filled: defaultdict[Any, Any] = defaultdict(dict)
    filled.update(state)
    try:
        optimizer.__setstate__({"state": filled, "param_groups": groups})
        for hook in optimizer._optimizer_load_state_dict_post_hooks.values():
            hook(optimizer)
    except Exception as error:
        undo()
        raise LoadError(
            f"the {type(optimizer).__name__} refuses this state ({error}); nothing was changed"
        ) from error
    return undo


class _GeneratorComponent(Component):
    """A generator of torch, which has no state_dict()."""

    def tree(self, model: Any = None) -> Any:
        state = {"device": str(self.held.device.type), "state": self.held.get_state()}
        return {"class": "Generator", "state": state}

    def restore(self, tree: Any) -> None:
        self.held.set_state(tree["state"]["state"])


@component_of.register(torch.Generator)
def _generator(generator: torch.Generator, /) -> Component:
    return _GeneratorComponent(generator)
