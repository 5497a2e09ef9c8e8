"""An optimizer's state in a file: its groups, their members and the state of each member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.state.saved_leaf import bare
from caten_sd.training.saved_training import SavedTraining
from caten_sd.wording import counted

MEMBERS = ("params", "param_names")


@attrs.frozen
class SavedOptimizer:
    """The state of an optimizer as a file holds it.

    ``kind`` is the name of the optimizer's class, "" if the file does not give it. ``members`` are
    the parameters of each group: names, or positions if the file has no names.
    """

    kind: str
    groups: list[dict[str, Any]]
    members: list[list[Any]]
    state: dict[Any, dict[str, Any]]

    @property
    def flat(self) -> list[Any]:
        """All members, in order."""
        return [member for group in self.members for member in group]

    @property
    def has_names(self) -> bool:
        """Whether every member is a name."""
        return all(isinstance(member, str) for member in self.flat)

    def named(self, names: Mapping[Any, str]) -> SavedOptimizer:
        """Return the same with other names for its members."""
        state = {names[member]: slots for member, slots in self.state.items() if member in names}
        members = [[names.get(m, m) for m in group] for group in self.members]
        return attrs.evolve(self, members=members, state=state)


def saved_optimizer(tree: Any, prefix: str = "") -> SavedOptimizer:
    """Return the state of an optimizer that a tree holds; LoadError if it does not hold one."""
    groups = _listed(tree.get("param_groups")) if isinstance(tree, Mapping) else None
    state = tree.get("state", {}) if isinstance(tree, Mapping) else None
    if not isinstance(groups, list) or not isinstance(state, Mapping) or not groups:
        raise LoadError(
            f"{prefix or 'the state dict'} does not hold the state of an optimizer; nothing was "
            f"changed: give one with the entries state and param_groups, as torch's has"
        )
    members = [_members(group, prefix) for group in groups]
    own = [{name: _listed(v) for name, v in g.items() if name not in MEMBERS} for g in groups]
    found = {member: _slots(state, member) for group in members for member in group}
    names = _param_names(groups, members)
    saved = SavedOptimizer(
        str(tree.get("class", "")), own, members, {m: s for m, s in found.items() if s}
    )
    if len(set(saved.flat)) < len(saved.flat):
        raise LoadError(
            f"a parameter is twice in the groups of {prefix or 'the file'}; nothing was changed: "
            f"save it again"
        )
    return saved.named(names) if names else saved


def _members(group: Any, prefix: str) -> list[Any]:
    params = _listed(group.get("params")) if isinstance(group, Mapping) else None
    if params is None and isinstance(group, Mapping):
        params = []  # an empty group has no key in a flat file
    if not isinstance(params, list) or not all(isinstance(p, (int, str)) for p in params):
        raise LoadError(
            f"a group of {prefix or 'the state dict'} does not list its parameters; nothing was "
            f"changed: give it params, a list of names or positions"
        )
    return params


def _listed(value: Any) -> Any:
    """Return a list if the value is a dict of indices, which dotted keys make of a list."""
    if isinstance(value, Mapping) and value and set(value) == {str(n) for n in range(len(value))}:
        return [_listed(value[str(n)]) for n in range(len(value))]
    return value


def _slots(state: Mapping[Any, Any], member: Any) -> dict[str, Any]:
    """Return a member's state, found by its name, its position, or its dotted name as a path."""
    for key in (member, str(member)):
        if isinstance(state.get(key), Mapping):
            return {str(name): _listed(value) for name, value in state[key].items()}
    node: Any = state
    for word in str(member).split("."):
        node = node.get(word) if isinstance(node, Mapping) else None
    return {name: _listed(v) for name, v in node.items()} if isinstance(node, Mapping) else {}


def _param_names(groups: Sequence[Any], members: list[list[Any]]) -> dict[Any, str]:
    """Return the name of each member if every group has the names that torch can save, or {}."""
    names: dict[Any, str] = {}
    for group, positions in zip(groups, members, strict=True):
        own = _listed(group.get("param_names", []))
        if not isinstance(own, list) or len(own) != len(positions):
            return {}
        names.update(zip(positions, map(str, own), strict=True))
    return names


def name_positions(state_dict: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return an optimizer's state with these names instead of its positions, 0 first.

    Use it for a file with positions only if you know the order in which the saved optimizer was
    given its parameters. LoadError if the names are more or fewer than the positions.

    >>> saved = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    >>> name_positions(saved, ["weight", "bias"])["param_groups"]
    [{'lr': 0.1, 'params': ['weight', 'bias']}]
    """
    saved = saved_optimizer(SavedTraining(state_dict).tree(""))
    given = list(names)
    if len(given) != len(saved.flat) or len(set(given)) < len(given):
        raise LoadError(
            f"{counted(len(set(given)), 'name is', 'names are')} given for "
            f"{counted(len(saved.flat), 'position')}; give the name of each parameter that the "
            f"optimizer had, in its order"
        )
    named = saved.named(dict(zip(saved.flat, given, strict=True)))
    groups = zip(named.groups, named.members, strict=True)
    return {
        "state": bare(named.state),
        "param_groups": [{**bare(own), "params": m} for own, m in groups],
    }
