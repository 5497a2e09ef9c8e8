"""Two states under the same names: as they are, without a prefix, or in the canonical layout."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.errors.printable import one_line
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.key_kinds import common_prefixes
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import LayoutPlan, plan_layout
from caten_sd.mapping.self_description import stated_numbers
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.leaf import LazyLeaf, spec_or_none
from caten_sd.state.state_dict import STAMP, StateDict
from caten_sd.state.training_keys import model_state


class SameNames(NamedTuple):
    """The two states under names that can be compared, and what was done to have them.

    ``origins`` has, for each side, the names that it has itself for a tensor, where they are other.
    """

    a: StateDict
    b: StateDict
    notes: tuple[str, ...] = ()
    origins: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})


class Tried(NamedTuple):
    """A side with the layout that it is in, or None."""

    state: StateDict
    layout: Layout | None


def under_same_names(
    a: StateDict,
    b: StateDict,
    layout: str | Layout | None,
    config: Any,
    numbers: Mapping[str, int],
) -> SameNames:
    """Return both states in the canonical names of their layouts, if these are known and differ.

    ``layout`` is one to bring both to instead.
    """
    a, b = model_state(a), model_state(b)
    if layout is None and _are_alike(a, b):
        return SameNames(a, b)
    tried = [_tried(state) for state in (a, b)]
    target = find_layout(layout) if layout is not None else _canonical(*tried)
    if target is None:
        return _without_prefixes(a, b)
    made, notes = [], []
    for side, one, other in zip("AB", tried, reversed(tried), strict=True):
        try:
            plan = _planned(one, other.state, target, config, numbers)
        except LayoutError as error:
            if layout is not None:
                raise
            return SameNames(a, b, (f"{side} keeps its own names: {one_line(str(error))}",))
        made.append(plan.state_dict)
        notes.append(f"{side} is in {plan.source.name}")
    said = f"{' and '.join(notes)}; both are compared as {target.name}"
    return SameNames(made[0], made[1], (said,), (_origins(made[0], a), _origins(made[1], b)))


def _planned(
    one: Tried, other: StateDict, target: Layout, config: Any, numbers: Mapping[str, int]
) -> LayoutPlan:
    """Return the plan for one side; numbers that a file lacks are those that the other one has."""
    own: dict[str, Any] = {"config": config, **numbers}
    try:
        return plan_layout(one.state, target, from_layout=one.layout, **own)
    except LayoutError:
        if config is not None or one.state.config is not None:
            raise
        options = {"config": other.config, **stated_numbers(other.metadata), **numbers}
        with contextlib.suppress(LayoutError):  # what it lacks itself is the better message
            return plan_layout(one.state, target, from_layout=one.layout, **options)
        raise


def _origins(made: StateDict, state: StateDict) -> dict[str, list[str]]:
    """Return the names that tensors have in the state that they were made of."""
    names: dict[int, list[str]] = {}
    for key, leaf in state.items() if made is not state else ():
        # Blocks are taken apart into their bytes and made anew.
        for each in (leaf, leaf.raw) if isinstance(leaf, BlockTensor) else (leaf,):
            names.setdefault(id(each), []).append(key)
    return {key: _names(key, leaf, names) for key, leaf in made.items()} if names else {}


def _names(key: str, leaf: Any, names: Mapping[int, list[str]]) -> list[str]:
    """Return the names of the leaves that a leaf is made of; of tied ones, that like its own."""
    known = names.get(id(leaf))
    if known is not None:
        return [next((name for name in known if name.endswith(key)), known[0])]
    origins = leaf.origins() if isinstance(leaf, LazyLeaf) else ()
    return list(dict.fromkeys(name for each in origins for name in _names(key, each, names)))


def _are_alike(a: StateDict, b: StateDict) -> bool:
    """Return whether both have the same keys with the same shapes, and no two different stamps."""
    if a.keys() != b.keys() or a.metadata.get(STAMP) != b.metadata.get(STAMP):
        return False
    for key, leaf in a.items():
        here, there = spec_or_none(leaf), spec_or_none(b[key])
        if here is not None and there is not None and here.shape != there.shape:
            return False
    return True


def _tried(state: StateDict) -> Tried:
    """Return a state with its layout; a prefix of all keys is taken off where that shows it."""
    found = detect_layout(state)
    if found.unprefixed is not None:
        return Tried(_without(state, f"{found.prefix}."), found.unprefixed)
    return Tried(state, found.layout)


def _canonical(a: Tried, b: Tried) -> Layout | None:
    """Return the canonical layout that both convert to, if they need it to have the same names."""
    if a.layout is None or b.layout is None or a.layout.canonical is not b.layout.canonical:
        return None
    met = len(a.state.keys() & b.state.keys())
    meets = 2 * met >= min(len(a.state), len(b.state))
    return None if a.layout is b.layout and meets else a.layout.canonical


def _without_prefixes(a: StateDict, b: StateDict) -> SameNames:
    """Return both states without a beginning that most of their keys have, if more keys meet."""
    best, most = ("", ""), len(a.keys() & b.keys())
    seconds = ("", *_beginnings(b))
    for first in ("", *_beginnings(a)):
        names = _shortened(a, first).keys()
        for second in seconds:
            met = len(names & _shortened(b, second).keys())
            if met > most:
                best, most = (first, second), met
    notes = tuple(
        f"keys of {side} are compared without {prefix!r}, with which they begin"
        for side, prefix in zip("AB", best, strict=True)
        if prefix
    )
    made = _without(a, best[0]), _without(b, best[1])
    return SameNames(*made, notes, (_origins(made[0], a), _origins(made[1], b)))


def _beginnings(state: StateDict) -> list[str]:
    """Return what all keys begin with, and the first name that most of them have."""
    firsts = Counter(key.partition(".")[0] for key in state if "." in key)
    found = [f"{name}." for name, count in firsts.most_common(1) if 2 * count > len(state)]
    return list(dict.fromkeys([*found, *common_prefixes(state)]))


def _shortened(state: StateDict, prefix: str) -> dict[str, str]:
    """Return the keys by their names without a prefix; those that would become one keep theirs."""
    names = {key.removeprefix(prefix): key for key in state}
    return names if len(names) == len(state) else {key: key for key in state}


def _without(state: StateDict, prefix: str) -> StateDict:
    if not prefix:
        return state
    names = _shortened(state, prefix)
    return state.with_entry({name: state[key] for name, key in names.items()})
