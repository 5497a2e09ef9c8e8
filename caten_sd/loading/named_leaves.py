"""What a file offers to a model: its leaves under the names that the model has for them.

A name that the file spells otherwise is found again, and each change is noted: rules of the caller,
wrappers around the model that was saved, another spelling, an older version of a module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LoadError
from caten_sd.loading.renames import renamed
from caten_sd.loading.spellings import spellings
from caten_sd.loading.wrapper_prefixes import unwrapped
from caten_sd.state.state_dict import StateDict


@attrs.define
class NamedLeaves:
    """``leaves`` by the model's name; ``keys`` gives the file's key, where that is another.

    ``of_wrappers`` are names that a wrapper wrote for itself.
    """

    leaves: dict[str, Any]
    keys: dict[str, str | None] = attrs.field(factory=dict)
    notes: list[str] = attrs.field(factory=list)
    of_wrappers: frozenset[str] = frozenset()

    def key(self, name: str) -> str | None:
        """Return the file's key for a name; None for what is not in the file."""
        return self.keys.get(name, name)


@generic
def adapt(owner: Any, /, *, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    """Change the leaves of a file as their owner does when it meets a file of an older version.

    ``leaves`` has the names of the whole model, those of the owner begin with ``prefix``;
    ``versions`` is what the file says of its modules. The owner itself is not touched.
    """
    raise NotImplementedError


@adapt.register(object)
def _as_it_is(owner: Any, /, *, prefix: str, leaves: dict[str, Any], versions: Any) -> None:
    return None


def offer(source: StateDict, renames: Mapping[str, str]) -> NamedLeaves:
    """Return what the file offers by its own keys, or by those that the caller's rules make."""
    if not renames:
        return NamedLeaves(dict(source.entry))
    names = renamed(source, renames)
    keys: dict[str, str | None] = {name: key for key, name in names.items() if name != key}
    return NamedLeaves(
        {name: source[key] for key, name in names.items()},
        keys,
        [f"{text!r} was renamed to {to!r}, as asked" for text, to in renames.items()],
    )


def match_names(given: NamedLeaves, named: Callable[[str], bool]) -> NamedLeaves:
    """Return the offer with the keys that name nothing of the model under what they do name."""
    unknown = [name for name in given.leaves if not named(name)]
    if not unknown:
        return given
    found = {name: name_of for name in unknown if (name_of := _name_of(name, named))}
    if not found:
        return given
    leaves: dict[str, Any] = {}
    keys: dict[str, str | None] = {}
    for name, leaf in given.leaves.items():
        new = found[name][0] if name in found else name
        key = given.key(name)
        if new in leaves:
            raise LoadError(
                f"{keys.get(new, new)} and {key} of the file are both {new} of the model; nothing "
                f"was changed, so leave one of them out of the state dict"
            )
        leaves[new] = leaf
        if key != new:
            keys[new] = key
    own = frozenset(name for name in unknown if name not in found and _is_wrappers(name, found))
    return NamedLeaves(leaves, keys, [*given.notes, *_notes(found)], own)


def _is_wrappers(name: str, found: Mapping[str, object]) -> bool:
    """Tell AveragedModel's count, which lies beside the wrapped module."""
    parent, _, last = name.rpartition("n_averaged")
    return not last and any(other.startswith(f"{parent}module.") for other in found)


def _name_of(name: str, named: Callable[[str], bool]) -> tuple[str, str, bool] | None:
    """Return the model's name, what was stripped and whether it was spelled otherwise, or None."""

    def slot(rest: str) -> str | None:
        return next((each for each in (rest, *spellings(rest)) if named(each)), None)

    if spelled := slot(name):
        return spelled, "", True
    if inner := unwrapped(name, slot):
        return *inner, len(name) != sum(map(len, inner))
    return None


def _notes(found: Mapping[str, tuple[str, str, bool]]) -> list[str]:
    stripped = Counter(gone for _, gone, _ in found.values() if gone)
    notes = [f'stripped "{gone}" from {count} keys' for gone, count in stripped.items()]
    spelled = sum(other for _, _, other in found.values())
    if spelled:
        notes.append(f"{spelled} keys are in the other spelling of weight_norm or spectral_norm")
    return notes
