"""The hyperparameters of an optimizer's groups, matched by their members and not by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.saved_leaf import SavedLeaf, same_value, saved_leaves
from caten_sd.training.live_optimizer import LiveOptimizer
from caten_sd.training.saved_optimizer import MEMBERS, SavedOptimizer
from caten_sd.wording import counted

# What schedulers write into a group. An optimizer takes them even if it does not have them yet.
_OF_SCHEDULERS = {"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"}

GroupsPlan = tuple[list[LoadRow], list[str], list[dict[str, Any]]]


def plan_groups(live: LiveOptimizer, saved: SavedOptimizer, prefix: str) -> GroupsPlan:
    """Return rows, notes and the new values of each live group.

    If a group was split, each of the new groups takes its values. If groups were merged, the values
    on which they agree are taken; the merged group keeps its own other values, and a row says so.
    """
    group_of = {name: n for n, group in enumerate(saved.members) for name in group}
    rows: list[LoadRow] = []
    notes = [f"{prefix or 'optimizer'}: {note}" for note in _regrouped(live, saved, group_of)]
    values = []
    for n, (own, members) in enumerate(zip(live.groups, live.members, strict=True)):
        sources = sorted({group_of[name] for name in members if name in group_of})
        if not sources and not members and n < len(saved.groups) and not saved.members[n]:
            sources = [n]
        found = [saved.groups[source] for source in sources]
        key = joined_key(prefix, f"param_groups.{n}")
        taken, more = _agreed(own, found, key, bool(saved.kind))
        values.append(taken)
        rows += more
    return rows, notes, values


def _regrouped(
    live: LiveOptimizer, saved: SavedOptimizer, group_of: Mapping[str, int]
) -> Sequence[str]:
    """Return a note if the parameters are grouped in another way than in the file."""
    here = {frozenset(n for n in group if n in group_of) for group in live.members} - {frozenset()}
    known = {name for group in live.members for name in group}
    there = {frozenset(n for n in group if n in known) for group in saved.members} - {frozenset()}
    if here == there:
        return []
    return [
        f"its {counted(len(live.members), 'group')} and the file's {len(saved.members)} divide the "
        f"parameters in different ways; the groups stay as they are here"
    ]


def _agreed(
    own: Mapping[str, Any], found: Sequence[Mapping[str, Any]], key: str, same_kind: bool
) -> tuple[dict[str, Any], list[LoadRow]]:
    taken: dict[str, Any] = {}
    rows = []
    for name in dict.fromkeys(name for group in found for name in group):
        if name in MEMBERS:
            continue
        values = [group[name] for group in found if name in group]
        if name not in own and not same_kind and name not in _OF_SCHEDULERS:
            rows.append(LoadRow(f"{key}.{name}", Outcome.UNEXPECTED, note=_text(values[0])))
        elif len(values) < len(found) or any(not same_value(values[0], v) for v in values[1:]):
            texts = ", ".join(map(_text, values))
            note = f"{texts} in the file's groups that are one here; {_text(own.get(name))} stays"
            rows.append(LoadRow(f"{key}.{name}", Outcome.MISSING, note=note))
        else:
            taken[name] = _listed_as_tuple(values[0], own.get(name))
            rows += [_loaded(leaf) for leaf in saved_leaves(values)]
    return taken, rows


def _loaded(leaf: SavedLeaf) -> LoadRow:
    known = spec_or_none(leaf.leaf)
    return LoadRow(leaf.key, Outcome.LOADED, known, known, leaf.key)


def _listed_as_tuple(value: Any, own: Any) -> Any:
    """Return a list as a tuple if the group has a tuple: dotted keys cannot tell them apart."""
    return tuple(value) if isinstance(value, list) and isinstance(own, tuple) else value


def _text(value: Any) -> str:
    return "a tensor" if isinstance(value, SavedLeaf) else repr(value)
