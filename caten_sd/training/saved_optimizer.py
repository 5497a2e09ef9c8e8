"""An optimizer's state as a file has it: groups, their members and the state of each, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.state.plain_values import bare
from caten_sd.training.saved_training import SavedTraining

MEMBERS = ("params", "param_names")


@attrs.frozen
class SavedOptimizer:
    """``members`` gives the parameters of each group: names, or positions where there are none.

    ``kind`` is the optimizer's class, "" where the file does not tell.
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


def saved_optimizer(tree: Any, at: str = "") -> SavedOptimizer:
    """Return the state of an optimizer that a tree says; LoadError where it says none."""
    groups = _listed(tree.get("param_groups")) if isinstance(tree, Mapping) else None
    state = tree.get("state", {}) if isinstance(tree, Mapping) else None
    if not isinstance(groups, list) or not isinstance(state, Mapping) or not groups:
        raise LoadError(
            f"{at or 'the state dict'} holds no optimizer's state, nothing was changed: torch's "
            f"has the entries state and param_groups"
        )
    members = [_members(group, at) for group in groups]
    own = [{name: _listed(v) for name, v in g.items() if name not in MEMBERS} for g in groups]
    found = {member: _slots(state, member) for group in members for member in group}
    names = _param_names(groups, members)
    saved = SavedOptimizer(
        str(tree.get("class", "")), own, members, {m: s for m, s in found.items() if s}
    )
    if len(set(saved.flat)) < len(saved.flat):
        raise LoadError(f"a parameter is twice in the groups of {at or 'the file'}; save it again")
    return saved.named(names) if names else saved


def _members(group: Any, at: str) -> list[Any]:
    params = _listed(group.get("params")) if isinstance(group, Mapping) else None
    if params is None and isinstance(group, Mapping):
        params = []  # a group of none has no key in a flat file
    if not isinstance(params, list) or not all(isinstance(p, (int, str)) for p in params):
        raise LoadError(
            f"a group of {at or 'the state dict'} names no parameters, nothing was changed: its "
            f"params are to be names or positions"
        )
    return params


def _listed(value: Any) -> Any:
    """Return a list where dotted keys made a dict of its indices."""
    if isinstance(value, Mapping) and value and set(value) == {str(n) for n in range(len(value))}:
        return [_listed(value[str(n)]) for n in range(len(value))]
    return value


def _slots(state: Mapping[Any, Any], member: Any) -> dict[str, Any]:
    """Return a member's state: by its name, by its position, or along its dotted name."""
    for key in (member, str(member)):
        if isinstance(state.get(key), Mapping):
            return {str(name): _listed(value) for name, value in state[key].items()}
    node: Any = state
    for part in str(member).split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return {name: _listed(v) for name, v in node.items()} if isinstance(node, Mapping) else {}


def _param_names(groups: Sequence[Any], members: list[list[Any]]) -> dict[Any, str]:
    """Return the name of each member, where every group has the names that torch may save."""
    names: dict[Any, str] = {}
    for group, positions in zip(groups, members, strict=True):
        told = _listed(group.get("param_names", []))
        if not isinstance(told, list) or len(told) != len(positions):
            return {}
        names.update(zip(positions, map(str, told), strict=True))
    return names


def name_positions(state_dict: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return an optimizer's state with these names in the place of its positions, 0 first.

    For a file that has positions only, by whoever knows the order in which the parameters were
    given to the optimizer that was saved. LoadError if there are more or fewer.

    >>> saved = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    >>> name_positions(saved, ["weight", "bias"])["param_groups"]
    [{'lr': 0.1, 'params': ['weight', 'bias']}]
    """
    saved = saved_optimizer(SavedTraining(state_dict).tree(""))
    given = list(names)
    if len(given) != len(saved.flat) or len(set(given)) < len(given):
        raise LoadError(
            f"{len(set(given))} names are given for {len(saved.flat)} positions; give the name of "
            f"each parameter that the optimizer had, in its order"
        )
    named = saved.named(dict(zip(saved.flat, given, strict=True)))
    groups = zip(named.groups, named.members, strict=True)
    return {
        "state": bare(named.state),
        "param_groups": [{**bare(own), "params": m} for own, m in groups],
    }
