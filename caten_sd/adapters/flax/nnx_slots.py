"""The slots of the modules, lists, dicts and optimizers of NNX, in the order of ``nnx.state``.

Random keys, caches and intermediate values are not saved with a module, unless they are asked for:
``get_state_dict(model, include="random")``. A state that was filtered, as
``nnx.state(model, nnx.RngState)``, has all that is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jax
from flax import nnx

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.class_kinds import AttrsInstance, DataclassInstance
from caten_sd.objects.owner import Slot, put, slots_of
from caten_sd.objects.slots import SlotKind

_PASSING: dict[type, SlotKind] = {
    nnx.RngState: "random",
    nnx.Cache: "cache",
    nnx.Intermediate: "intermediate",
}


class DeclaredPytree(AttrsInstance, DataclassInstance):
    """An object of NNX that is a dataclass too, as ``nnx.List``: its state is what NNX says."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not DeclaredPytree:
            return NotImplemented
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        return declared and issubclass(other, nnx.Pytree)


@slots_of.register((nnx.Pytree, DeclaredPytree))
def _slots(owner: Any, /) -> Iterator[Slot]:
    for name, value in _data(owner):
        yield name, value, _kind(value)


def _data(owner: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the name and the value of each attribute that is data and not configuration."""
    if isinstance(owner, nnx.List):
        yield from enumerate(owner)
        return
    attributes = vars(owner)
    for name, is_data in sorted(attributes.get("_pytree__nodes", {}).items()):
        if is_data and name in attributes and not name.startswith("_pytree__"):
            yield name, attributes[name]


def _kind(value: Any) -> SlotKind:
    for passing, kind in _PASSING.items():
        if isinstance(value, passing):
            return kind
    return "buffer" if isinstance(value, nnx.BatchStat) else "state"


class PytreeHooks(OwnerHooks):
    """The ``__deepcopy__`` of NNX knows no memo: what two modules share would be two things."""

    def copied(self, memo: dict[int, Any]) -> Any:
        """Return a copy of the object; its Variables are copied by themselves.

        The deepcopy of a Variable, which has the attributes of its array, would be an array.
        """
        owner = self.owner
        made = object.__new__(type(owner))
        for variable in jax.tree_util.tree_leaves(list(vars(owner).values()), is_leaf=_is_node):
            if isinstance(variable, nnx.Variable) and id(variable) not in memo:
                memo[id(variable)] = variable.copy()
        state = vars(owner).get("_pytree__state")
        if state is not None:  # it knows the trace that the object was made in
            memo[id(state)] = type(state)(is_setup=state.is_setup)
        vars(made).update(deepcopy(vars(owner), memo))
        return made


def _is_node(value: Any) -> bool:
    return isinstance(value, (nnx.Variable, nnx.Pytree))


@hooks_of.register(nnx.Pytree)
def _hooks(owner: Any, /) -> OwnerHooks:
    return PytreeHooks(owner)


@put.register(nnx.Pytree)
def _put(owner: Any, name: Any, value: Any, /) -> None:
    setattr(owner, str(name), value)
