"""The hyperparameters of an optimizer's groups: matched by who is in a group, not by its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.compare import same_values
from caten_sd.state.keys import joined_key
from caten_sd.state.plain_values import SavedLeaf, saved_leaves
from caten_sd.state.state_dict import spec_or_none
from caten_sd.training.saved_optimizer import MEMBERS, SavedOptimizer

if TYPE_CHECKING:
    from caten_sd.training.live_optimizer import LiveOptimizer

# What schedulers write into a group; an optimizer that has none yet takes them all the same.
_OF_SCHEDULERS = {"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"}

Fitted = tuple[list[LoadRow], list[str], list[dict[str, Any]]]


def fitted_groups(live: LiveOptimizer, saved: SavedOptimizer, at: str) -> Fitted:
    """Return rows, notes and the new values of each live group.

    A group that was split takes the values of the whole. Where several became one, the values on
    which they agree are taken; on the others it keeps its own, and a row says so.
    """
    home = {name: n for n, group in enumerate(saved.members) for name in group}
    rows: list[LoadRow] = []
    notes = [f"{at or 'optimizer'}: {note}" for note in _regrouped(live, saved, home)]
    values = []
    for n, (own, members) in enumerate(zip(live.groups, live.members, strict=True)):
        sources = sorted({home[name] for name in members if name in home})
        if not sources and not members and n < len(saved.groups) and not saved.members[n]:
            sources = [n]
        found = [saved.groups[at_] for at_ in sources]
        prefix = joined_key(at, f"param_groups.{n}")
        taken, more = _agreed(own, found, prefix, bool(saved.kind))
        values.append(taken)
        rows += more
    return rows, notes, values


def _regrouped(
    live: LiveOptimizer, saved: SavedOptimizer, home: Mapping[str, int]
) -> Sequence[str]:
    """Say which groups hold other parameters together than the file's do."""
    here = {frozenset(n for n in group if n in home) for group in live.members} - {frozenset()}
    known = {name for group in live.members for name in group}
    there = {frozenset(n for n in group if n in known) for group in saved.members} - {frozenset()}
    if here == there:
        return []
    return [
        f"its {len(live.members)} groups hold other parameters together than the file's "
        f"{len(saved.members)}; the grouping stays as it is here"
    ]


def _agreed(
    own: Mapping[str, Any], found: Sequence[Mapping[str, Any]], prefix: str, same_kind: bool
) -> tuple[dict[str, Any], list[LoadRow]]:
    taken: dict[str, Any] = {}
    rows = []
    for name in dict.fromkeys(name for group in found for name in group):
        if name in MEMBERS:
            continue
        values = [group[name] for group in found if name in group]
        if name not in own and not same_kind and name not in _OF_SCHEDULERS:
            rows.append(LoadRow(f"{prefix}.{name}", Outcome.UNEXPECTED, note=_text(values[0])))
        elif len(values) < len(found) or any(not _same(values[0], v) for v in values[1:]):
            told = ", ".join(map(_text, values))
            note = f"{told} in the file's groups that are one here; {_text(own.get(name))} stays"
            rows.append(LoadRow(f"{prefix}.{name}", Outcome.MISSING, note=note))
        else:
            taken[name] = _alike(values[0], own.get(name))
            rows += [_loaded(leaf) for leaf in saved_leaves(values)]
    return taken, rows


def _loaded(leaf: SavedLeaf) -> LoadRow:
    known = spec_or_none(leaf.leaf)
    return LoadRow(leaf.key, Outcome.LOADED, known, known, leaf.key)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, SavedLeaf) and isinstance(other, SavedLeaf):
        return same_values(one.leaf, other.leaf)
    return type(one) is type(other) and bool(one == other)


def _alike(value: Any, own: Any) -> Any:
    """Return a list as a tuple where the group has one: dotted keys do not tell them apart."""
    return tuple(value) if isinstance(value, list) and isinstance(own, tuple) else value


def _text(value: Any) -> str:
    return "a tensor" if isinstance(value, SavedLeaf) else repr(value)
