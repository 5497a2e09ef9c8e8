"""The file's leaves under the names of the model's slots.

A key that does not name a slot may do so without a wrapper's prefix, or in another spelling. Each
such change is noted, and so are the renames that the caller asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LoadError, StateDictError
from caten_sd.loading.spellings import spellings
from caten_sd.loading.wrapper_prefixes import unwrapped
from caten_sd.state.renames import renamed
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted


@attrs.frozen
class NamedLeaves:
    """``leaves`` by the model's names; ``keys`` has the file's key of each name that differs.

    Such a key is None if the file does not have the leaf. ``of_wrappers`` are the names of what a
    wrapper saved of its own. ``converted`` is whether the model's library gave names and tensors.
    """

    leaves: Mapping[str, Any]
    keys: Mapping[str, str | None] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()
    of_wrappers: frozenset[str] = frozenset()
    converted: bool = False

    def key(self, name: str) -> str | None:
        """Return the file's key of a name, or None if the file does not have the leaf."""
        return self.keys.get(name, name)


class FoundName(NamedTuple):
    """The model's name for a key, the prefix that was stripped, and whether spellings differ."""

    name: str
    stripped: str
    respelled: bool


def by_own_keys(source: StateDict, renames: Mapping[str, str]) -> NamedLeaves:
    """Return the leaves of a file by its keys, renamed by the caller's rules if there are any."""
    if not renames:
        return NamedLeaves(source.entry)
    names = renamed_as_asked(source, renames)
    return NamedLeaves(
        {name: source[key] for key, name in names.items()},
        {name: key for key, name in names.items() if name != key},
        tuple(f"{text!r} was renamed to {to!r}, as asked" for text, to in renames.items()),
    )


def renamed_as_asked(keys: Collection[str], renames: Mapping[str, str]) -> dict[str, str]:
    """Return the new name of each key of a file; LoadError if the caller's rules do not serve."""
    try:
        return renamed(keys, renames)
    except StateDictError as error:
        raise LoadError(f"{error}; nothing was changed") from error


def match_names(named: NamedLeaves, is_known: Callable[[str], bool]) -> NamedLeaves:
    """Return the leaves with the model's name for each key that is not one but stands for one."""
    unknown = [name for name in named.leaves if not is_known(name)]
    found = {name: match for name in unknown if (match := _find(name, is_known))}
    if not found:
        return named
    leaves: dict[str, Any] = {}
    keys: dict[str, str | None] = {}
    for name, leaf in named.leaves.items():
        new = found[name].name if name in found else name
        key = named.key(name)
        if new in leaves:
            raise LoadError(
                f"{keys.get(new, new)} and {key} of the file are both {new} of the model; nothing "
                f"was changed, so leave one of them out of the state dict"
            )
        leaves[new] = leaf
        if key != new:
            keys[new] = key
    own = frozenset(name for name in unknown if name not in found and _is_wrappers(name, found))
    notes = (*named.notes, *_notes(found))
    return attrs.evolve(named, leaves=leaves, keys=keys, notes=notes, of_wrappers=own)


def _is_wrappers(name: str, found: Mapping[str, FoundName]) -> bool:
    """Return whether this is AveragedModel's counter, which it saves next to its module."""
    parent, _, last = name.rpartition("n_averaged")
    return not last and any(other.startswith(f"{parent}module.") for other in found)


def _find(name: str, is_known: Callable[[str], bool]) -> FoundName | None:
    """Return the model's name that a key stands for, or None."""

    def slot(rest: str) -> str | None:
        return next((each for each in (rest, *spellings(rest)) if is_known(each)), None)

    if spelled := slot(name):
        return FoundName(spelled, "", True)
    if inner := unwrapped(name, slot):
        known, stripped = inner
        return FoundName(known, stripped, len(name) != len(known) + len(stripped))
    return None


def _notes(found: Mapping[str, FoundName]) -> list[str]:
    stripped = Counter(match.stripped for match in found.values() if match.stripped)
    notes = [f'stripped "{gone}" from {counted(count, "key")}' for gone, count in stripped.items()]
    if respelled := sum(match.respelled for match in found.values()):
        keys = counted(respelled, "key is", "keys are")
        notes.append(f"{keys} in the other spelling of weight_norm or spectral_norm")
    return notes
