"""Find keys that differ from slots only in separators, or in upper and lower case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.rename_trial import line_for_pairs, names_settle
from caten_sd.loading.report import Outcome
from caten_sd.wording import counted


class _Spelling(NamedTuple):
    """What turns a key into a slot, in Python's words and as a function."""

    text: str
    of: Callable[[str], str]


_SPELLINGS = (
    _Spelling('key.replace("/", ".")', lambda key: key.replace("/", ".")),
    _Spelling(
        'key.replace("/", ".").removesuffix(":0")',
        lambda key: key.replace("/", ".").removesuffix(":0"),
    ),
    _Spelling("key.lower()", str.lower),
)


def letters_of(key: str) -> str:
    """Return a key without its upper case, and without separators other than those of two numbers.

    >>> letters_of("Layer_0/kernel:0"), letters_of("layer.0.kernel"), letters_of("h.1.12")
    ('layer0kernel', 'layer0kernel', 'h1_12')
    """
    key = key.removesuffix(":0").lower()
    return re.sub(r"((?<=\d)[\W_]+(?=\d))|[\W_]+", lambda found: "_" if found[1] else "", key)


def unique_letters(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys by their letters, without those that others share."""
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for key in keys:
        counts[letters_of(key)] += 1
        found[letters_of(key)] = key
    return {letters: key for letters, key in found.items() if counts[letters] == 1}


def spelled_otherwise(case: Case) -> Cause | None:
    """Return a cause if keys differ from slots only in separators or in upper and lower case."""
    file, model = case.shapes(Outcome.UNEXPECTED), case.shapes(Outcome.MISSING)
    slots, keys = unique_letters(model), unique_letters(file)
    pairs = {
        keys[each]: slot
        for each, slot in slots.items()
        if each in keys and file[keys[each]] == model[slot]
    }
    if not pairs or len(pairs) < min(len(file), len(model)):
        return None
    key, slot = next(iter(pairs.items()))
    differ = counted(len(pairs), "key differs", "keys differ")
    return Cause(
        f"{differ} from slots only in separators or in upper and lower case ({key} of the file is "
        f"{slot} of the model)",
        _respelled(case, pairs),
    )


def _respelled(case: Case, pairs: Mapping[str, str]) -> str:
    """Return the line that loads under the slots' names, or "" if one would be too long."""
    for spelling in _SPELLINGS:
        leaves = {spelling.of(key): case.file[key] for key in case.file}
        if len(leaves) == len(case.file) and names_settle(case, NamedLeaves(leaves)):
            renamed = f"{{{spelling.text}: state_dict[key] for key in state_dict}}"
            return f"load_state_dict(model, {renamed})"
    return line_for_pairs(case, pairs)
